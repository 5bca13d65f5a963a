import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { binaryViolations, symbolsOfNode } from '../../packages/native/scripts/lib/binary-rules.mjs';
import { ownTarget } from '../../packages/native/scripts/lib/targets.mjs';
import { repositoryRoot } from '../lib/workspace.mjs';

const built = join(repositoryRoot, 'packages', 'native', 'build', 'Release', 'walstack.node');
const own = ownTarget();
const hasReadelf = spawnSync('readelf', ['--version']).status === 0;

// Where no addon was built, or nothing can look at it, there is nothing to test.
describe.runIf(own?.libc === 'glibc' && hasReadelf && existsSync(built))('the binary that was built here', () => {
  const target = own ?? { arch: 'x64', libc: 'glibc' };

  test('needs the C library alone, and nothing that only this machine has', () => {
    // The version of glibc is that of this machine, where a newer one has newer symbols.
    const violations = binaryViolations(built, target).filter(
      (violation) => !violation.includes('newer than GLIBC_2.28'),
    );
    expect(violations).toEqual([]);
    expect(symbolsOfNode(built)).toContain('napi_create_function');
  });

  test('is refused as one for another processor', () => {
    const other = target.arch === 'x64' ? 'arm64' : 'x64';
    expect(binaryViolations(built, { ...target, arch: other })).toEqual([
      expect.stringMatching(/^is for .*, not for /),
    ]);
  });
});
