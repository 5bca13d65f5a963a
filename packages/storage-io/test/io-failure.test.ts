import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { WalError } from '@walstack/codec';
import { callFailure, completionFailure } from '@walstack/storage-io';
import { errnoNamed, errnoOf } from '@walstack/storage-io/internal';
import { describe, expect, it } from 'vitest';

describe('error numbers', () => {
  it('are those of node:fs', () => {
    let thrown: NodeJS.ErrnoException | undefined;
    try {
      readFileSync('/missing/file');
    } catch (error) {
      thrown = error as NodeJS.ErrnoException;
    }
    expect(thrown?.code).toBe('ENOENT');
    expect(errnoNamed('ENOENT')).toBe(thrown?.errno);
    expect(errnoOf(thrown)).toBe(thrown?.errno);
  });

  it('are those of EIO for what has none', () => {
    const eio = errnoNamed('EIO');
    expect(eio).toBeLessThan(0);
    for (const error of [undefined, null, 'EIO', new Error('?'), { code: 'NONSENSE' }, { errno: 5 }, { errno: -0.5 }]) {
      expect(errnoOf(error)).toBe(eio);
    }
  });

  it('of a WalError are those of its systemCode', () => {
    expect(errnoOf(new WalError('WAL_NO_SPACE', '', { systemCode: 'ENOSPC' }))).toBe(errnoNamed('ENOSPC'));
    expect(errnoOf(new WalError('WAL_STATE', ''))).toBe(errnoNamed('EIO'));
  });
});

describe('failures', () => {
  it.each([
    ['ENOSPC', 'WAL_NO_SPACE'],
    ['ENOENT', 'WAL_NOT_FOUND'],
    ['EIO', 'WAL_IO_FAILED'],
    ['EACCES', 'WAL_IO_FAILED'],
    ['EDQUOT', 'WAL_NO_SPACE'],
  ])('of %s are %s, whether completed or thrown', (systemCode, code) => {
    const facts = { code, systemCode, path: 'a/b', operation: 'write', offset: 7 };
    const completed = completionFailure('write', 'a/b', errnoNamed(systemCode), { offset: 7 });
    expect(completed).toMatchObject({ ...facts, cause: { code: systemCode, path: 'a/b' } });
    const cause = Object.assign(new Error('x'), { code: systemCode });
    expect(callFailure('write', 'a/b', cause, { offset: 7 })).toMatchObject({ ...facts, cause });
  });

  it.each([
    ['EACCES', 'no permission'],
    ['EPERM', 'no permission'],
    ['EROFS', 'mounted read-only'],
    ['ENOTDIR', 'not a directory'],
    ['ENAMETOOLONG', 'too long'],
    ['EMFILE', 'ulimit -n'],
    ['EIO', 'opening the log again'],
  ])('of %s say what to do about it', (systemCode, advice) => {
    const { message } = completionFailure('open', 'a/b', errnoNamed(systemCode));
    expect(message).toMatch(`open of a/b failed with ${systemCode}: `);
    expect(message).toContain(advice);
  });

  it.runIf(process.platform !== 'win32')('of a full quota are known though libuv has no name for it', () => {
    const cause = Object.assign(new Error('x'), {
      errno: -constants.errno.EDQUOT,
      code: `Unknown system error -${constants.errno.EDQUOT}`,
    });
    expect(callFailure('open', 'a', cause)).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'EDQUOT' });
    expect(completionFailure('write', 'a', -constants.errno.EDQUOT)).toMatchObject({ code: 'WAL_NO_SPACE' });
  });

  it.runIf(process.platform === 'linux')(
    'of a file system that is damaged have a name, which neither Node.js nor libuv has',
    () => {
      const cause = Object.assign(new Error('x'), { errno: -117, code: 'Unknown system error -117' });
      const facts = { code: 'WAL_IO_FAILED', systemCode: 'EUCLEAN' };
      expect(callFailure('open', 'a', cause)).toMatchObject(facts);
      expect(completionFailure('read', 'a', -117)).toMatchObject(facts);
      expect(errnoOf(completionFailure('read', 'a', -117))).toBe(-117);
    },
  );

  it('of an unknown number say the number', () => {
    expect(completionFailure('write', 'a', -9999)).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'errno 9999' });
  });

  it('that are WalErrors already stay what they are', () => {
    const error = new WalError('WAL_LOCKED', 'locked');
    expect(callFailure('lock', 'a', error)).toBe(error);
  });
});
