import { cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { WalError } from '@walstack/codec';
import { afterAll, describe, expect, it } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';

const { directory: copies, destroy } = removableDirectory();
afterAll(destroy);

/** The package loaded once more from other files, as when two versions of it are installed. */
async function anotherCopy(): Promise<typeof import('@walstack/codec')> {
  const own = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url));
  cpSync(own('dist'), join(copies, 'dist'), { recursive: true });
  cpSync(own('package.json'), join(copies, 'package.json'));
  symlinkSync(own('node_modules'), join(copies, 'node_modules'), 'junction');
  const url = pathToFileURL(join(copies, 'dist/index.js')).href;
  return (await import(/* @vite-ignore */ url)) as typeof import('@walstack/codec');
}

describe('WalError', () => {
  it('has a code, a message, a cause and the facts as properties', () => {
    const cause = new Error('below');
    const error = new WalError(
      'WAL_CORRUPT',
      'what happened',
      { path: 'a', offset: 5, lsn: 7, reason: 'checksum' },
      { cause },
    );
    expect(error).toBeInstanceOf(Error);
    expect(error.name).toBe('WalError');
    expect(error.message).toBe('what happened');
    expect(error.cause).toBe(cause);
    expect(error).toMatchObject({ code: 'WAL_CORRUPT', path: 'a', offset: 5, lsn: 7, reason: 'checksum' });
    expect(error.stack).toContain('what happened');
  });

  it('of an abort has the name that aborts have everywhere', () => {
    const error = new WalError('WAL_ABORTED', 'aborted');
    expect([error.name, String(error)]).toEqual(['AbortError', 'AbortError: aborted']);
    expect(error.stack).toMatch(/^AbortError: aborted/);
    expect(WalError.is(error, 'WAL_ABORTED')).toBe(true);
  });

  it('has no properties for facts that are not known', () => {
    expect(Object.keys(new WalError('WAL_CLOSED', 'closed')).sort()).toEqual(['code', 'name']);
    expect('cause' in new WalError('WAL_CLOSED', 'closed')).toBe(false);
  });

  it('is distinguished from other errors, and by its code', () => {
    const error: unknown = new WalError('WAL_LOCKED', 'locked', { holder: 'another process' });
    expect(WalError.is(error)).toBe(true);
    expect(WalError.is(error, 'WAL_LOCKED')).toBe(true);
    expect(WalError.is(error, 'WAL_CLOSED')).toBe(false);
    const lookAlike = Object.assign(new Error('no'), { code: 'WAL_LOCKED', name: 'WalError' });
    for (const other of [lookAlike, { code: 'WAL_LOCKED' }, null, undefined, 'WAL_LOCKED', 5, () => 1]) {
      expect(WalError.is(other)).toBe(false);
      expect(WalError.is(other, 'WAL_LOCKED')).toBe(false);
    }
  });

  it('is recognized across two copies of the package', async () => {
    const other = await anotherCopy();
    expect(other.WalError).not.toBe(WalError);
    const theirs: unknown = new other.WalError('WAL_CORRUPT', 'theirs');
    expect(theirs instanceof WalError).toBe(false);
    expect(WalError.is(theirs)).toBe(true);
    expect(WalError.is(theirs, 'WAL_CORRUPT')).toBe(true);
    expect(WalError.is(theirs, 'WAL_CLOSED')).toBe(false);
    expect(other.WalError.is(new WalError('WAL_CLOSED', 'ours'), 'WAL_CLOSED')).toBe(true);
  });
});
