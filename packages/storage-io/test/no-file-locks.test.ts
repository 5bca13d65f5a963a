import { execFile } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fileLocksUnavailableReason } from '@walstack/native';
import { ringSupport } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';

const CHILD = fileURLToPath(new URL('no-file-locks-child.mjs', import.meta.url));
const { ENOSYS, EOPNOTSUPP, EINVAL } = constants.errno;

/** As the addon throws them, and as it would throw one that libuv has no name for. */
const ERRORS: readonly (readonly [string, number])[] = [
  ['ENOSYS', ENOSYS],
  ['ENOTSUP', EOPNOTSUPP],
  ['EINVAL', EINVAL],
  ['Unknown system error -37', 37],
];

const backends = ['sync-fs', 'thread-pool', ...(ringSupport().available ? ['io-uring'] : [])];

let temporary: ReturnType<typeof removableDirectory>;

beforeEach(() => {
  temporary = removableDirectory();
});

afterEach(() => temporary.destroy());

describe.runIf(fileLocksUnavailableReason === undefined)('on a file system without locks on open files', () => {
  it.each(ERRORS.flatMap(([code, errno]) => backends.map((backend) => [code, errno, backend] as const)))(
    'that says %s (%i), %s opens, locks paths and closes as without the addon',
    async (code, errno, backend) => {
      const args = [CHILD, temporary.directory, code, String(-errno), backend];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      expect(JSON.parse(stdout)).toEqual({
        lockFile: 'WAL_UNSUPPORTED',
        close: 'none',
        leaked: 0,
        second: 'WAL_LOCKED',
      });
    },
  );
});
