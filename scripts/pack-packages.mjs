// Packs every published package: into .reports/packages for the checks of `npm test`, or with --release into .reports/release,
// which needs the binaries of all platforms.
import { rmSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { run } from './lib/run.mjs';
import { tarballFolders, tarballOf } from './lib/tarballs.mjs';
import { publishedMembers, repositoryRoot as root } from './lib/workspace.mjs';

const { values } = parseArgs({ options: { release: { type: 'boolean' } } });
const purpose = values.release ? 'release' : 'checks';

rmSync(tarballFolders[purpose], { recursive: true, force: true });
for (const member of publishedMembers(root)) {
  const args = ['--dir', member.folder, 'pack', '--out', tarballOf(member, purpose)];
  const { ok, output } = await run('pnpm', args, { cwd: root, env: { ...process.env, WALSTACK_PACK: purpose } });
  if (!ok) process.exitCode = 1;
  process.stdout.write(ok ? `${tarballOf(member, purpose)}\n` : `${output}\n`);
}
