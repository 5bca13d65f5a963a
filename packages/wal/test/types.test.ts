import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const { resolve } = createRequire(import.meta.url);
const types = fileURLToPath(new URL('./types', import.meta.url));

/** The oldest version that is supported, and that of the workspace. */
const COMPILERS = ['typescript-5.4', 'typescript'];

/** What a compiler says of a project. */
async function complaints(compiler: string, project: string): Promise<string> {
  const tsc = join(dirname(resolve(`${compiler}/package.json`)), 'bin/tsc');
  const args = [tsc, '--pretty', 'false', '-p', join(types, project)];
  const running = promisify(execFile)(process.execPath, args).catch((failed: { stdout: string }) => failed);
  return (await running).stdout;
}

test.each(COMPILERS)('%s gives what programs write the types that they expect', async (compiler) => {
  expect(await complaints(compiler, 'tsconfig.json')).toBe('');
});

test('the declarations of the package compile without skipLibCheck', async () => {
  // Not before 5.7, which does not know the type argument of `Uint8Array`.
  expect(await complaints('typescript', 'tsconfig.library.json')).toBe('');
});
