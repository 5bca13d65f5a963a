import { existsSync, mkdirSync, readdirSync, watch, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DiscardPolicy } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { compareLog, LogShipper, type LogStreamOptions, restoreLog } from '@walstack/jetstream';
import { Wal, type WalEvent } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { intercepted } from './support/intercepted.js';
import { commitMany, storedRecords, until, withManager } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpServer } from './support/set-up.js';

async function eventsOf(wal: Wal): Promise<readonly WalEvent[]> {
  const events: WalEvent[] = [];
  await wal.replay('first', (event) => events.push(event));
  return events;
}

describe.skipIf(withoutServer !== undefined)('restore and comparison', () => {
  const { server, nextStream } = setUpServer();

  /** A log that is shipped, and the options of its stream. */
  async function shipped(
    write: (wal: Wal, shipper: LogShipper) => Promise<unknown>,
    options = {},
  ): Promise<{ readonly directory: string; readonly stream: LogStreamOptions }> {
    const stream = nextStream();
    const directory = join(temporaryDirectory(), 'log');
    const wal = await Wal.open(directory, { segmentBytes: 16 * 1024, ...options });
    const shipper = LogShipper.start(wal, { ...stream, create: true });
    await write(wal, shipper);
    await shipper.replicated(wal.lastLsn);
    await shipper.close();
    await wal.shutdown();
    return { directory, stream };
  }
  const target = (): string => join(temporaryDirectory(), 'restored');

  test('the restored log opens, has each event, and goes on', async () => {
    const { directory, stream } = await shipped((wal) => commitMany(wal, 300));
    const to = target();
    expect(await restoreLog(to, stream)).toMatchObject({ firstLsn: 1, lastLsn: 300, records: 300 });
    const original = await Wal.open(directory, { recoveryMode: 'readonly' });
    const restored = await Wal.open(to);
    expect(await eventsOf(restored)).toEqual(await eventsOf(original));
    expect(await restored.commit('and on')).toBe(301);
    // It is the log of the stream: it goes on there.
    const shipper = LogShipper.start(restored, stream);
    await shipper.replicated(301);
    await shipper.close();
    await restored.shutdown();
    await original.shutdown();
    expect(await compareLog(to, stream)).toMatchObject({ agrees: true, records: 301 });
    expect(await compareLog(directory, stream)).toMatchObject({ agrees: false, differing: [301], records: 300 });
  });

  test('up to an LSN: without a batch that would be cut in two', async () => {
    const { stream } = await shipped((wal) => commitMany(wal, 60));
    // Records 31 to 33 are a batch.
    for (const [to, lastLsn] of [
      [30, 30],
      [31, 30],
      [32, 30],
      [33, 33],
      [0, 0],
      [1000, 60],
    ] as const) {
      const path = target();
      const report = restoreLog(path, { ...stream, to });
      if (to === 0) expect(await rejection(report)).toMatchObject({ code: 'WAL_NOT_FOUND' });
      else {
        expect(await report).toMatchObject({ firstLsn: 1, lastLsn, records: lastLsn });
        expect((await storedRecords(path)).at(-1)?.lsn).toBe(lastLsn);
      }
    }
  });

  test('up to a time: as the log was then, also when it was cut since', async () => {
    let time = 1_700_000_000_000;
    let cutAt = 0;
    const { directory, stream } = await shipped(
      async (wal, shipper) => {
        await commitMany(wal, 60);
        await shipper.replicated(60);
        cutAt = time;
        await wal.truncateAfter(20);
        await commitMany(wal, 30);
        await until(() => shipper.replicatedLsn === 50);
      },
      { now: () => ++time },
    );
    const before = target();
    expect(await restoreLog(before, { ...stream, toTimeMs: cutAt })).toMatchObject({ lastLsn: 60 });
    const records = await storedRecords(before);
    const [{ timestampMs = 0 } = {}] = records.slice(40);
    const path = target();
    await restoreLog(path, { ...stream, toTimeMs: timestampMs });
    const then = await storedRecords(path);
    expect(then.at(-1)?.timestampMs).toBeLessThanOrEqual(timestampMs);
    // A batch is there as a whole, or not.
    expect(records.slice(then.length, then.length + 3).some((record) => record.timestampMs > timestampMs)).toBe(true);
    const now = target();
    expect(await restoreLog(now, stream)).toMatchObject({ lastLsn: 50 });
    expect(await compareLog(directory, stream)).toMatchObject({ agrees: true, records: 50 });
  });

  test('a log whose beginning was truncated before it was shipped', async () => {
    const { directory, stream } = await shipped(async () => {}, {});
    const wal = await Wal.open(directory, { segmentBytes: 16 * 1024 });
    await wal.removeFollower('jetstream');
    await commitMany(wal, 600);
    await wal.truncateBefore(500);
    const { firstLsn } = wal;
    expect(firstLsn).toBeGreaterThan(1);
    const shipper = LogShipper.start(wal, { ...stream, create: true });
    await shipper.replicated(600);
    await shipper.close();
    await wal.shutdown();
    const path = target();
    expect(await restoreLog(path, stream)).toMatchObject({ firstLsn, lastLsn: 600 });
    const copy = await Wal.open(path);
    expect([copy.firstLsn, copy.lastLsn]).toEqual([firstLsn, 600]);
    await copy.shutdown();
  });

  test('a stream that has dropped its oldest messages, in the middle of a record in parts', async () => {
    for (let kept = 50; kept < 56; kept++) {
      const stream = nextStream();
      const wal = await Wal.open(join(temporaryDirectory(), 'log'), { segmentBytes: 16 * 1024 });
      const create = { max_msg_size: 1024, max_msgs: kept, discard: DiscardPolicy.Old };
      const shipper = LogShipper.start(wal, { ...stream, create });
      for (let record = 0; record < 20; record++) await wal.commit(Buffer.alloc(3000, record));
      await shipper.replicated(20);
      await shipper.close();
      await wal.shutdown();
      const path = target();
      const { firstLsn, lastLsn, records } = await restoreLog(path, stream);
      expect(firstLsn).toBeGreaterThan(1);
      expect([lastLsn, records]).toEqual([20, 21 - firstLsn]);
      expect(await storedRecords(path)).toHaveLength(records);
      expect(await compareLog(wal.directory, stream)).toMatchObject({ agrees: true, records });
    }
  });

  test('a log that is truncated while it is compared is compared from its new beginning', async () => {
    const { directory, stream } = await shipped((wal) => commitMany(wal, 600));
    const wal = await Wal.open(directory, { segmentBytes: 16 * 1024 });
    const connection = async () =>
      intercepted(await connect({ servers: server.address, reconnect: false }), async (subject) => {
        // The beginning of the log is known then, and no record was read.
        if (subject.startsWith('$JS.API.CONSUMER.CREATE')) await wal.truncateBefore(500);
        return subject;
      });
    const report = await compareLog(directory, { ...stream, connection });
    const { firstLsn } = wal;
    await wal.shutdown();
    expect(firstLsn).toBeGreaterThan(1);
    expect(report).toMatchObject({ agrees: true, records: 601 - firstLsn, differing: [] });
    expect(report.log).toEqual({ firstLsn, lastLsn: 600 });
  });

  test('a second restore into a directory is refused beside the first one, which is whole', async () => {
    const { directory, stream } = await shipped((wal) => commitMany(wal, 90));
    const to = target();
    let second: unknown;
    const connection = async () =>
      intercepted(await connect({ servers: server.address }), async (subject) => {
        // The first one has begun to make files.
        if (subject.startsWith('$JS.API.CONSUMER')) second ??= await rejection(restoreLog(to, stream));
        return subject;
      });
    expect(await restoreLog(to, { ...stream, connection })).toMatchObject({ records: 90 });
    expect(second).toMatchObject({ code: 'WAL_LOCKED' });
    expect((await storedRecords(to)).length).toBe((await storedRecords(directory)).length);
    expect(await rejection(restoreLog(to, stream))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY' });
    expect(readdirSync(join(to, '..'))).toEqual(['restored']);
  });

  test.skipIf(process.platform !== 'linux')('of a restore that fails the lock is removed last', async () => {
    const { stream } = await shipped((wal) => commitMany(wal, 900));
    const to = target();
    const removed: string[] = [];
    let isRemoved: Promise<void> | undefined;
    const watched = `${to}.restoring`;
    const fail = () => {
      isRemoved = new Promise((resolve) => {
        const watcher = watch(watched, (event, name) => {
          if (event === 'rename') removed.push(name as string);
          if (name !== basename(watched)) return;
          watcher.close();
          resolve();
        });
      });
      throw new Error('enough');
    };
    expect(await rejection(restoreLog(to, { ...stream, onProgress: fail }))).toMatchObject({ message: 'enough' });
    await isRemoved;
    expect(removed.length).toBeGreaterThan(3);
    expect(removed.at(-1)).toBe(basename(watched));
    // Another restore that finds no lock may make files of the same names.
    expect(removed.at(-2)).toBe('LOCK');
  });

  test('they leave nothing behind in the server', async () => {
    const { directory, stream } = await shipped((wal) => commitMany(wal, 90));
    await restoreLog(target(), stream);
    await restoreLog(target(), { ...stream, to: 30 });
    await compareLog(directory, stream);
    const consumers = await withManager(server.address, async (api) => {
      const { state } = await api.streams.info(`walstack-${stream.log}`);
      return state.consumer_count;
    });
    expect(consumers).toBe(0);
  });

  test('a signal ends them while no server answers, and leaves nothing behind', async () => {
    const { directory, stream } = await shipped((wal) => commitMany(wal, 30));
    const never = new Promise<never>(() => {});
    const silent = async () => {
      const connected = await connect({ servers: server.address });
      connected.subscribe('silence', { callback: () => {} });
      return intercepted(connected, (subject) => (subject.startsWith('$JS.API.CONSUMER') ? 'silence' : subject));
    };
    for (const connection of [() => never, silent]) {
      const calls = {
        restore: (more: object) => restoreLog(target(), { ...stream, connection, timeoutMs: 2 ** 30, ...more }),
        compare: (more: object) => compareLog(directory, { ...stream, connection, timeoutMs: 2 ** 30, ...more }),
      };
      for (const call of Object.values(calls)) {
        const controller = new AbortController();
        const ended = rejection(call({ signal: controller.signal }));
        await new Promise((resolve) => setTimeout(resolve, 50));
        controller.abort();
        expect(await ended).toMatchObject({ code: 'WAL_ABORTED' });
        expect(await rejection(call({ signal: controller.signal }))).toMatchObject({ code: 'WAL_ABORTED' });
      }
    }
  });

  test('a directory that cannot be made is an error of the log with the code of the system', async () => {
    const { stream } = await shipped((wal) => commitMany(wal, 30));
    const file = target();
    writeFileSync(file, '');
    for (const path of [file, join(file, 'below')]) {
      const error = await rejection(restoreLog(path, stream));
      expect(error).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'ENOTDIR' });
    }
  });

  test('a directory with anything in it is refused, and a damaged stream leaves nothing behind', async () => {
    const { stream } = await shipped((wal) => commitMany(wal, 30));
    const full = target();
    mkdirSync(full);
    writeFileSync(join(full, 'file'), '');
    expect(await rejection(restoreLog(full, stream))).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY' });
    await withManager(server.address, (api) => api.streams.deleteMessage(`walstack-${stream.log}`, 10));
    const path = target();
    expect(await rejection(restoreLog(path, stream))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'order' });
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(join(path, '..'))).toEqual([]);
    expect(await rejection(restoreLog(path, { ...stream, log: 'none' }))).toMatchObject({ code: 'WAL_NOT_FOUND' });
  });
});
