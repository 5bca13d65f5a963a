import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { decodeSegmentHeader, FileName, parseSegmentFileName } from '@walstack/codec';
import { LogReplica, LogShipper, type ReplicaOptions } from '@walstack/jetstream';
import { replayDirectory } from '@walstack/mmap-reader';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { intercepted } from './support/intercepted.js';
import { commitMany, expectSameBytes, storedRecords, until, withManager } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpShipping } from './support/set-up.js';
import { TcpProxy } from './support/tcp-proxy.js';

describe.skipIf(withoutServer !== undefined)('a replica', () => {
  const { server, closing, nextStream, openLog, start: ship } = setUpShipping();
  /** An open log that is shipped. */
  const shipped = async (records: number) => {
    const stream = nextStream();
    const wal = await openLog({ segmentBytes: 16 * 1024 });
    const shipper = ship(wal, { ...stream, create: true, retryMs: 20 });
    await commitMany(wal, records);
    if (records > 0) await shipper.replicated(records);
    return { stream, wal, shipper };
  };
  const start = (directory: string, options: ReplicaOptions): LogReplica => {
    const replica = LogReplica.start(directory, { retryMs: 20, storeMs: 20, ...options });
    closing.push(() => replica.close());
    return replica;
  };
  const target = (): string => join(temporaryDirectory(), 'replica');
  const expectEqual = async (original: string, replica: string): Promise<void> =>
    expectSameBytes(original, replica, await storedRecords(original));

  test('has what is shipped, for readers beside it, over a restart', async () => {
    const { stream, wal, shipper } = await shipped(300);
    const directory = target();
    const replica = start(directory, stream);
    await replica.reached(300);
    const lsns: number[] = [];
    const following = (async () => {
      for await (const { lsn } of Wal.follow(directory, 'first', { durableOnly: false })) {
        if (lsns.push(lsn) === 630) break;
      }
    })();
    await commitMany(wal, 300);
    await replica.reached(600);
    await replica.close();
    await commitMany(wal, 30);
    const next = start(directory, stream);
    await next.reached(630);
    await following;
    expect(lsns).toEqual(Array.from({ length: 630 }, (_, index) => index + 1));
    await shipper.replicated(630);
    expect(next.state).toBe('reading');
    let replayed = 0;
    for await (const _ of replayDirectory(directory)) replayed++;
    expect(replayed).toBe(630);
    await expectEqual(wal.directory, directory);
    expect(await rejection(Wal.open(directory))).toMatchObject({ code: 'WAL_LOCKED' });
  });

  test('what a crash leaves behind the stored place is written again', async () => {
    const { stream, wal, shipper } = await shipped(300);
    const directory = target();
    const replica = start(directory, stream);
    await replica.reached(300);
    await replica.close();
    const place = readFileSync(join(directory, 'replica'));
    await commitMany(wal, 300);
    await shipper.replicated(600);
    const next = start(directory, stream);
    await next.reached(600);
    // As a kill leaves it: files that are further than the place, and the last of them torn.
    const copy = target();
    cpSync(directory, copy, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
    const last = readdirSync(copy)
      .filter((name) => parseSegmentFileName(name) !== undefined)
      .at(-1) as string;
    truncateSync(join(copy, last), readFileSync(join(copy, last)).length - 150);
    writeFileSync(join(copy, 'replica'), place);
    // Pages that never reached the disk, between others that did.
    const [, damaged = ''] = readdirSync(copy).filter((name) => (parseSegmentFileName(name)?.firstLsn ?? 0) > 300);
    const bytes = readFileSync(join(copy, damaged));
    writeFileSync(join(copy, damaged), bytes.fill(0, 8192, 12288));
    const again = start(copy, stream);
    await again.reached(600);
    await again.close();
    await expectEqual(wal.directory, copy);
  });

  /** What a kill leaves of a directory. */
  const killed = (directory: string): string => {
    const copy = target();
    cpSync(directory, copy, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
    return copy;
  };

  test('goes on when it is killed before it has stored how far it is', async () => {
    const { stream, wal } = await shipped(300);
    const directory = target();
    await start(directory, { ...stream, storeMs: 2 ** 30 }).reached(300);
    const copy = killed(directory);
    // The log goes on by itself there: that is another one.
    const other = killed(directory);
    const written = await Wal.open(other);
    await written.commit('other');
    await written.shutdown();
    await commitMany(wal, 30);
    const again = start(copy, stream);
    await again.reached(330);
    await again.close();
    await expectEqual(wal.directory, copy);
    expect(await rejection(start(other, stream).ended())).toMatchObject({ code: 'WAL_FENCED', lsn: 301 });
  });

  test('goes on when it is killed at any moment of a cut', async () => {
    const { stream, wal, shipper } = await shipped(600);
    const directory = target();
    const replica = start(directory, { ...stream, storeMs: 2 ** 30 });
    await replica.reached(600);
    await replica.close();
    const before = killed(directory);
    const again = start(directory, { ...stream, storeMs: 2 ** 30 });
    await again.reached(600);
    await wal.truncateAfter(100);
    await commitMany(wal, 30);
    await shipper.replicated(130);
    await until(() => again.lastLsn === 130);
    const behind = killed(directory);
    const segmentsOf = (path: string) => readdirSync(path).filter((name) => parseSegmentFileName(name) !== undefined);
    const begun = segmentsOf(behind).at(-1) as string;
    const removed = segmentsOf(before).filter((name) => !segmentsOf(behind).includes(name));
    expect(removed.length).toBeGreaterThan(2);
    // The place is stored, and the segment a draft; of the others so many are removed.
    const states = [behind];
    for (let count = 0; count <= removed.length; count++) {
      const state = killed(before);
      for (const name of removed.slice(removed.length - count)) rmSync(join(state, name));
      cpSync(join(behind, 'replica'), join(state, 'replica'));
      const draft = join(state, FileName.nextSegment);
      cpSync(join(behind, begun), draft);
      truncateSync(draft, decodeSegmentHeader(readFileSync(draft), draft).blockBytes);
      states.push(state);
    }
    // And before the place is stored.
    states.push(killed(before));
    for (const state of states) {
      const next = start(state, stream);
      await until(() => next.lastLsn === 130 || next.failure !== undefined);
      await next.close();
      expect(next.failure).toBeUndefined();
      await expectEqual(wal.directory, state);
      expect(await storedRecords(state)).toHaveLength(130);
    }
  });

  test('has no record of a batch before the whole batch', async () => {
    const { stream, wal, shipper } = await shipped(30);
    await shipper.close();
    let published = 0;
    const connection = async () => {
      const opened = await connect({ servers: server.address, reconnect: false });
      return intercepted(opened, (subject) => {
        if (subject === `walstack.${stream.log}` && ++published > 3) throw new Error('it is lost on the way');
        return subject;
      });
    };
    const next = ship(wal, { ...stream, connection, inFlightMax: 1, retryMs: 20 });
    const batch = wal.batch();
    for (let each = 1; each <= 8; each++) batch.add(`part ${each} of a batch`);
    const last = await wal.commitBatch(batch);
    const directory = target();
    const replica = start(directory, stream);
    const path = () => join(directory, readdirSync(directory).find((name) => name.endsWith('.seg')) as string);
    await replica.reached(30);
    while (!readFileSync(path()).includes('part 3')) await turns();
    await turns();
    expect(replica.lastLsn).toBe(30);
    await replica.close();
    await next.close();
    const again = start(directory, stream);
    await again.reached(30);
    expect(again.lastLsn).toBe(30);
    await ship(wal, stream).replicated(last);
    await again.reached(last);
    await again.close();
    await expectEqual(wal.directory, directory);
  });

  test('cut connections, and a log that is cut', async () => {
    const { stream, wal, shipper } = await shipped(300);
    const proxy = await TcpProxy.start(() => server.port);
    closing.push(() => proxy.close());
    const directory = target();
    const replica = start(directory, { ...stream, connection: { servers: proxy.address } });
    for (const lsn of [300, 600, 900]) {
      await replica.reached(lsn);
      proxy.cut();
      await commitMany(wal, 300);
    }
    await replica.reached(1200);
    await wal.truncateAfter(1000);
    await commitMany(wal, 30);
    await shipper.replicated(1030);
    await until(() => replica.lastLsn === 1030);
    await replica.close();
    await expectEqual(wal.directory, directory);
    const records = await storedRecords(directory);
    expect(records.map(({ lsn }) => lsn)).toEqual(Array.from({ length: 1030 }, (_, index) => index + 1));
  });

  test('a log whose beginning was truncated', async () => {
    const { stream, wal, shipper } = await shipped(0);
    await shipper.close();
    await wal.removeFollower('jetstream');
    await commitMany(wal, 600);
    await wal.truncateBefore(500);
    const next = LogShipper.start(wal, { ...stream, create: true });
    closing.push(() => next.close());
    await next.replicated(600);
    const directory = target();
    const replica = start(directory, stream);
    await replica.reached(600);
    const copy = await Wal.open(directory, { recoveryMode: 'readonly' });
    expect([copy.firstLsn, copy.lastLsn]).toEqual([wal.firstLsn, 600]);
    await copy.shutdown();
  });

  test('a stream that has dropped what comes next, or was made anew, and a directory with another log', async () => {
    const { stream, wal, shipper } = await shipped(90);
    const name = `walstack-${stream.log}`;
    const directory = target();
    const replica = start(directory, stream);
    await replica.reached(90);
    await replica.close();
    expect(await rejection(start(wal.directory, stream).ended())).toMatchObject({ code: 'WAL_FOREIGN_DIRECTORY' });

    // Written by itself: the record in place of the next one is not that of the stream.
    const written = target();
    cpSync(directory, written, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
    const other = await Wal.open(written);
    await other.commit('other');
    await other.shutdown();
    await commitMany(wal, 30);
    await shipper.replicated(120);
    expect(await rejection(start(written, stream).ended())).toMatchObject({ code: 'WAL_FENCED', lsn: 91 });

    await withManager(server.address, (api) => api.streams.purge(name, { seq: 110 }));
    expect(await rejection(start(directory, stream).ended())).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 91 });
    await shipper.close();
    await withManager(server.address, (api) => api.streams.delete(name));
    const anew = await Wal.open(join(temporaryDirectory(), 'anew'));
    closing.push(() => anew.shutdown());
    const second = LogShipper.start(anew, { ...stream, create: true });
    closing.push(() => second.close());
    await commitMany(anew, 150);
    await second.replicated(150);
    expect(await rejection(start(directory, stream).ended())).toMatchObject({
      code: 'WAL_FENCED',
      reason: 'other-log',
    });
  });
});
