import { spawnSync } from 'node:child_process';
import { chmodSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { packedViolations, publishOrder, publishScript } from './release-rules.mjs';
import { tarballFolders, tarballOf } from './tarballs.mjs';
import { publishedMembers, repositoryRoot as root } from './workspace.mjs';

/** @param {string[]} args */
const tar = (...args) => {
  const { status, stdout, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar ${args.join(' ')}: ${stderr}`);
  return stdout;
};

/** The version of a release, which all packages share. */
export const releaseVersion = () => publishedMembers(root)[0]?.manifest.version ?? '';

/**
 * What is wrong with the tarballs of a release, a line each; and one line for each that says what is in it.
 */
export const inspectTarballs = () => {
  const members = publishedMembers(root);
  const names = members.map(({ manifest }) => manifest.name);
  const violations = [];
  const contents = [];
  for (const member of members) {
    const tarball = tarballOf(member, 'release');
    const files = tar('-tzf', tarball).trim().split('\n');
    const packed = JSON.parse(tar('-xzOf', tarball, 'package/package.json'));
    violations.push(...packedViolations(packed, releaseVersion(), names));
    const binaries = files.filter((file) => file.endsWith('.node')).map((file) => file.replace(/.*prebuilds\//, ''));
    const list = binaries.length === 0 ? '' : `, with ${binaries.join(', ')}`;
    contents.push(`${packed.name} ${packed.version}: ${files.length} files${list}`);
  }
  return { violations, contents };
};

/** Writes the script that publishes the tarballs, and returns its path and its text. */
export const writePublishScript = () => {
  const tarballs = publishOrder(publishedMembers(root)).map((member) => relative(root, tarballOf(member, 'release')));
  const path = join(tarballFolders.release, 'publish.sh');
  const text = publishScript(tarballs, releaseVersion());
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return { path: relative(root, path), text };
};
