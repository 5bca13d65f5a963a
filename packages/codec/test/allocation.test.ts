import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);
const SCRIPT = fileURLToPath(new URL('./allocation-loop.mjs', import.meta.url));

/** Scavenges while the loop ran that many groups, after it had run long enough to be compiled. */
async function scavenges(groups: number): Promise<number> {
  const { stdout } = await run(process.execPath, ['--trace-gc', '--single-threaded-gc', SCRIPT, String(groups)], {
    maxBuffer: 64 * 1024 * 1024,
  });
  const [, during] = stdout.split('loop begins');
  return (during as string).split('Scavenge').length - 1;
}

it('encoding, sealing, scanning and reading allocate nothing a record', { timeout: 60_000 }, async () => {
  // One allocation a record would be at least 16 bytes: some 17 MB in 1.1 million records, and a scavenge about every MB.
  expect(await scavenges(0)).toBeLessThanOrEqual(2);
  expect(await scavenges(150)).toBeLessThanOrEqual(4);
});
