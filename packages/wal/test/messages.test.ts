import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { KeyRing, Wal, type WalError, type WalOptions } from '@walstack/wal';
import { afterEach, describe, expect, test } from 'vitest';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const opened = (options: WalOptions = {}): Promise<Wal> => Wal.open('/log', { io: 'memory', ...options });

/** How many options there are: the builder has a method for each, and `build`. */
const OPTIONS = Object.keys(Wal.builder('/log')).length - 1;

describe('the message for a wrong argument', () => {
  test('calls the option io by its name', async () => {
    const names = "'auto', 'io-uring', 'thread-pool', 'sync-fs', 'memory'";
    const message = `"io" must be one of ${names}, received "fs"`;
    expect((await rejection(Wal.open('/log', { io: 'fs' } as never))).message).toBe(message);
    expect(thrown(() => Wal.follow('/log', 'first', { io: 'fs' } as never)).message).toBe(message);
  });

  test.each([
    [{ segmentByte: 1 }, 'did you mean "segmentBytes"?'],
    [{ SegmentBytes: 1 }, 'did you mean "segmentBytes"?'],
    [{ segmentSize: 1 }, 'did you mean "segmentBytes"?'],
    [{ keyring: 1 }, 'did you mean "keyRing"?'],
    [{ recoverMode: 1 }, 'did you mean "recoveryMode"?'],
    [{ colour: 1 }, `none of its ${OPTIONS} options, which the README lists, has a similar name`],
  ])('for options %o suggests a name, and does not list thirty', async (options, advice) => {
    const [name] = Object.keys(options);
    const { message } = await rejection(opened(options as never));
    expect(message).toBe(`"options" has no option "${name}": ${advice}`);
  });

  test('suggests the signal that only the calls of this layer have', async () => {
    await using wal = await opened();
    const options = { sginal: undefined } as never;
    const message = '"options" has no option "sginal": did you mean "signal"?';
    expect((await rejection(wal.commit('x', options))).message).toBe(message);
    expect((await rejection(wal.replay('first', () => {}, options))).message).toBe(message);
    expect(thrown(() => wal.iterator('first', options)).message).toBe(message);
    expect(wal.lastLsn).toBe(0);
  });

  test('calls arguments as the signature does', async () => {
    await using wal = await opened();
    const expected = '"from" must be an LSN, \'first\' or \'checkpoint\', received "x"';
    const none = (): void => {};
    expect((await rejection(wal.replay('x' as never, none))).message).toBe(expected);
    expect(thrown(() => wal.iterator('x' as never)).message).toBe(expected);
    expect(thrown(() => wal.follow('x' as never)).message).toBe(expected);
    expect((await rejection(wal.replay(7, none))).message).toBe('"from" must be at most 1, the next LSN, received 7');
    expect((await rejection(wal.read('x' as never))).message).toBe('"lsn" must be a number, received "x"');
    expect(thrown(() => Wal.follow(undefined as never, 'first')).message).toContain('"path" must be a path');
  });

  test('of one length gives that', () => {
    const message = '"current.key.length" must be 32, received 31';
    expect(thrown(() => KeyRing.of({ id: 1, key: new Uint8Array(31) })).message).toBe(message);
  });

  test.each([
    ['a Wal', () => new (Wal as never as new (path: string) => unknown)('data/orders'), 'use await Wal.open(path)'],
    ['a KeyRing', () => new (KeyRing as never as new (keys: object) => unknown)({}), 'use KeyRing.of'],
  ])('of new for %s says how to open one', (name, make, advice) => {
    const error = thrown(make);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ code: 'ERR_ILLEGAL_CONSTRUCTOR' });
    expect(error.message).toContain(`${name} is not made with new: ${advice}`);
  });
});

describe('the error for a place that is no log', () => {
  test('has a code of its own for a directory of other files', async () => {
    const path = temporaryDirectory();
    writeFileSync(join(path, 'notes.txt'), 'mine');
    for (const create of [true, false]) {
      const error = await rejection(Wal.open(path, { create }));
      expect(error).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', path });
      expect(error.message).toContain('notes.txt');
    }
    expect(await rejection(Wal.recover(path))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY', path });
  });

  test.runIf(process.platform === 'linux')('does not call a device a other', async () => {
    const { message } = await rejection(Wal.open('/dev/null'));
    expect(message).toBe('/dev/null is neither a file nor a directory: give the directory of a log');
  });

  test('says what is wrong with the path', async () => {
    const path = join(temporaryDirectory(), 'file');
    writeFileSync(path, 'mine');
    expect((await rejection(Wal.open(join(path, 'log')))).message).toContain('a part of the path is not a directory');
    const long = await rejection(Wal.open(join(temporaryDirectory(), 'x'.repeat(300))));
    expect(long.message).toContain('is too long');
  });
});

describe('a file: URL', () => {
  test('is a path wherever one is taken', async () => {
    const path = join(temporaryDirectory(), 'a log');
    const url = pathToFileURL(path);
    const wal = await Wal.open(url);
    expect(wal.path).toBe(path);
    await wal.commit('there');
    await wal.shutdown();
    expect((await Wal.recover(url)).records).toBe(1);
    const built = await Wal.builder(url).build();
    expect(await textsOf(built)).toEqual(['there']);
    await built.shutdown();
    for await (const { lsn } of Wal.follow(url, 'first')) {
      expect(lsn).toBe(1);
      break;
    }
  });

  test('of another scheme is refused, without showing it', async () => {
    const error = await rejection(Wal.open(new URL('https://user:secret@example.org/log')));
    expect(error).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(error.message).toContain('a https: URL');
    expect(error.message).not.toContain('secret');
  });
});

describe('a log that is shown', () => {
  test('has its path, state and positions', async () => {
    const wal = await opened();
    await wal.commit('x');
    wal.append('y');
    const facts = "path: '/log', state: 'running', firstLsn: 1, lastLsn: 2, durableLsn: 1";
    expect(inspect(wal, { breakLength: Number.POSITIVE_INFINITY })).toBe(`Wal { ${facts} }`);
    expect(inspect({ wal }, { depth: 0 })).toBe('{ wal: [Wal] }');
    await wal.shutdown();
    expect(inspect(wal)).toContain("state: 'closed'");
  });

  test('has the name of its class', () => {
    expect([Wal.name, KeyRing.name]).toEqual(['Wal', 'KeyRing']);
  });
});

describe('a failure', () => {
  let disk: StepDisk;
  let wal: Wal;

  afterEach(async () => {
    disk.heal();
    await wal.close().catch(() => {});
    await disk.io.dispose();
  });

  const begin = async (): Promise<void> => {
    disk = new StepDisk();
    wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io, markAfterMs: 0, flushDelayMs: 60_000 });
    await wal.commit('durable');
  };

  test('of a commit whose outcome is unknown has the systemCode, and so have the calls after it', async () => {
    await begin();
    disk.fail('datasync', 'EIO');
    expect(await rejection(wal.commit('?'))).toMatchObject({ reason: 'outcome-unknown', systemCode: 'EIO' });
    expect(await rejection(wal.commit('refused'))).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
  });

  const CALLS: readonly [name: string, call: (wal: Wal) => Promise<unknown>][] = [
    ['flush', (log) => log.flush()],
    ['sync', (log) => log.sync()],
    ['durable', (log) => log.durable(2)],
    ['truncateBefore', (log) => log.truncateBefore(3)],
    ['truncateAfter', (log) => log.truncateAfter(1)],
    ['resetTo', (log) => log.resetTo(9)],
    ['checkpoint', (log) => log.checkpoint(2)],
    ['hold', (log) => log.hold('reader', 3)],
    ['read', (log) => log.read(2)],
    ['replay', (log) => log.replay('first', () => {})],
    ['iterator', async (log) => await log.iterator('first')[Symbol.asyncIterator]().next()],
    ['shutdown', (log) => log.shutdown()],
    ['an aborted durable', (log) => log.durable(2, { signal: AbortSignal.timeout(1) })],
    ['an aborted commit', (log) => log.commit('x', { signal: AbortSignal.timeout(1) })],
    ['an aborted batch', (log) => log.commitBatch(log.batch().add('x'), { signal: AbortSignal.timeout(1) })],
  ];

  test.each(CALLS)('of %s has its caller in the stack', async (name, call) => {
    await begin();
    wal.append('not written yet');
    if (name.startsWith('an aborted')) disk.hold('datasync');
    else for (const operation of ['write', 'datasync'] as const) disk.fail(operation, 'EIO');
    const callerOfTheLog = async (): Promise<void> => {
      await call(wal);
    };
    const error = await rejection(callerOfTheLog());
    disk.releaseAll('datasync');
    expect(error.code).toBe(name.startsWith('an aborted') ? 'WAL_ABORTED' : 'WAL_IO_FAILED');
    expect(error.stack?.split('callerOfTheLog')).toHaveLength(2);
  });

  test('to open has its caller in the stack', async () => {
    await begin();
    const callerOfOpen = async (): Promise<void> => {
      await Wal.open(wal.path, { io: disk.io });
    };
    expect((await rejection(callerOfOpen())).stack).toContain('callerOfOpen');
    const missing = `${temporaryDirectory()}/log`;
    mkdirSync(missing);
    const callerOfRecover = async (): Promise<void> => {
      await Wal.recover(missing);
    };
    expect((await rejection(callerOfRecover())).stack).toContain('callerOfRecover');
  });
});

describe('an abort', () => {
  test('has the name by which programs recognize one, and its code', async () => {
    await using wal = await opened();
    const reason = new Error('changed my mind');
    const error: WalError = await rejection(wal.commit('x', { signal: AbortSignal.abort(reason) }));
    expect(error).toMatchObject({ name: 'AbortError', code: 'WAL_ABORTED', cause: reason });
    expect(String(error)).toMatch(/^AbortError: /);
  });

  test('is heard by any number of calls with one signal, without a warning', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): unknown => warnings.push(warning);
    process.on('warning', warned);
    try {
      await using wal = await opened();
      const { signal } = new AbortController();
      await Promise.all(Array.from({ length: 1000 }, () => wal.commit('x', { signal })));
      const followers = Array.from({ length: 50 }, () => wal.follow('first', { signal }));
      await Promise.all(followers.map((follower) => follower.next()));
      await Promise.all(Array.from({ length: 50 }, () => wal.replay('first', () => {}, { signal })));
      await Promise.all(followers.map((follower) => follower.return()));
      // Warnings are emitted in a later turn.
      await new Promise((resolve) => setImmediate(resolve));
    } finally {
      process.off('warning', warned);
    }
    expect(warnings).toEqual([]);
  });
});
