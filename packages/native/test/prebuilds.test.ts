import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const names = [
  'linux-x64/walstack.glibc.node',
  'linux-x64/walstack.musl.node',
  'linux-arm64/walstack.armv8.glibc.node',
  'linux-arm64/walstack.armv8.musl.node',
];

describe('before the package is packed', () => {
  let folder: string;

  beforeEach(() => {
    folder = temporaryDirectory();
    cpSync(join(root, 'scripts'), join(folder, 'scripts'), { recursive: true });
    const isSource = (path: string): boolean => !path.startsWith(join(root, 'addon', 'build'));
    cpSync(join(root, 'addon'), join(folder, 'addon'), { recursive: true, filter: isSource });
  });

  const check = (purpose: string): { status: number | null; stderr: string } =>
    spawnSync(process.execPath, [join(folder, 'scripts', 'check-prebuilds.mjs')], {
      env: { ...process.env, WALSTACK_PACK: purpose },
      encoding: 'utf8',
    });

  const hashOfSources = (): string => {
    const module = pathToFileURL(join(folder, 'scripts', 'lib', 'sources.mjs')).href;
    const program = `import { hashOfSources } from ${JSON.stringify(module)}; console.log(hashOfSources());`;
    return spawnSync(process.execPath, ['--input-type=module', '--eval', program], { encoding: 'utf8' }).stdout;
  };

  const bring = (name: string, hash: string): void => {
    const path = join(folder, 'prebuilds', name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, '');
    writeFileSync(`${path}.sources`, hash);
  };

  test('every binary of a release has to be there, but for a pack that is only checked', () => {
    const { status, stderr } = check('release');
    expect(status).toBe(1);
    expect(stderr).toContain('is not packed without all of its binaries; `pnpm prebuild --all` makes them');
    for (const name of names) expect(stderr.replaceAll('\\', '/')).toContain(`prebuilds/${name} is missing`);
    expect(check('checks')).toMatchObject({ status: 0, stderr: expect.stringContaining('not for a release') });
    // Nothing says what it is for: as by hand.
    expect(check('').status).toBe(1);

    for (const name of names) bring(name, hashOfSources());
    expect(check('release')).toMatchObject({ status: 0, stderr: '' });
    rmSync(join(folder, 'prebuilds', 'linux-arm64'), { recursive: true });
    expect(check('release').stderr).not.toContain('x64');
    expect(check('release').status).toBe(1);
  });

  test('a binary of other sources is none', () => {
    for (const name of names) bring(name, hashOfSources());
    const source = join(folder, 'addon', 'addon.cc');
    writeFileSync(source, `${readFileSync(source, 'utf8')}\n`);
    expect(check('release')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('was made from other sources'),
    });
    bring('linux-x64/walstack.musl.node', hashOfSources());
    expect(check('release').stderr).not.toContain('walstack.musl.node');
  });
});
