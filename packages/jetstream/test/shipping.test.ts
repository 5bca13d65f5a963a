import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { DiscardPolicy } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { LogShipper, type ShipOptions } from '@walstack/jetstream';
import { PerCoreWalManager } from '@walstack/percore';
import { describe, expect, test } from 'vitest';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { makeCertificate, withoutTls } from './support/certificate.js';
import { commitMany, expectReplicated, storedRecords, until, withManager } from './support/logs.js';
import { NatsServer, withoutServer } from './support/nats-servers.js';
import { setUpShipping } from './support/set-up.js';
import { TcpProxy } from './support/tcp-proxy.js';

describe.skipIf(withoutServer !== undefined)('shipping', () => {
  const { server, closing, nextOptions, streamOf, openLog, start } = setUpShipping();

  test('records that are there, and then new ones, across rolls; the next shipper goes on', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 600);
    const shipper = start(wal, options);
    const states: string[] = [];
    await shipper.replicated(600);
    await commitMany(wal, 300);
    await shipper.replicated(900);
    expect(shipper.stats()).toMatchObject({
      state: 'shipping',
      replicatedLsn: 900,
      records: 900,
      lagRecords: 0,
      lagBytes: 0,
    });
    await shipper.close();
    expect(shipper.state).toBe('closed');
    expect((await rejection(shipper.replicated(901))).code).toBe('WAL_RANGE');
    await commitMany(wal, 30);
    const next = start(wal, { ...options, onState: (state) => states.push(state) });
    await next.replicated(930);
    expect(next.stats().records).toBe(30);
    await wal.shutdown();
    await next.ended();
    expect(states).toEqual(['shipping', 'closed']);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('what is not replicated is kept, also before a server was ever reached; and no more than that', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 600);
    const shipper = start(wal, { ...options, connection: { servers: '127.0.0.1:1' } });
    await until(() => shipper.state === 'waiting');
    expect((await wal.truncateBefore(601)).keptFor).toMatchObject([{ name: 'jetstream', lsn: 1 }]);
    expect(shipper.stats()).toMatchObject({ lagRecords: 600, replicatedLsn: 0 });
    expect(shipper.stats().lagBytes).toBeGreaterThan(60_000);
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'connection' });
    await shipper.close();
    const next = start(wal, options);
    await next.replicated(600);
    await next.close();
    await wal.truncateBefore(601);
    expect(wal.firstLsn).toBe(601);
    await commitMany(wal, 30);
    const last = start(wal, options);
    await last.replicated(630);
    expect(last.stats().records).toBe(30);
  });

  test('a thousand calls that wait for records in any order end when these are replicated, and not before', async () => {
    const wal = await openLog();
    const shipper = start(wal, nextOptions());
    const ended: number[] = [];
    const lsns = Array.from({ length: 1000 }, (_, index) => ((index * 617) % 1000) + 1);
    await commitMany(wal, 1002);
    const waiting = lsns.map(async (lsn) => {
      await shipper.replicated(lsn);
      expect(shipper.replicatedLsn).toBeGreaterThanOrEqual(lsn);
      ended.push(lsn);
    });
    await Promise.all(waiting);
    expect(ended.toSorted((a, b) => a - b)).toEqual(lsns.toSorted((a, b) => a - b));
  });

  test('records over the limit of the server are split and joined', async () => {
    const options = nextOptions();
    const wal = await openLog({ segmentBytes: 16 * 1024 * 1024 });
    for (const bytes of [10, 1024 * 1024 - 700, 1024 * 1024, 3_000_000, 10])
      await wal.commit(Buffer.alloc(bytes, bytes));
    await start(wal, options).replicated(5);
    await expectReplicated(wal.directory, streamOf(options));
    expect(
      (await withManager(server.address, (api) => api.streams.info(`walstack-${options.log}`))).state.messages,
    ).toBe(9);
  });

  test('an encrypted log is shipped and restored without its keys', async () => {
    const options = nextOptions();
    const keyRing = ringOf(1);
    const wal = await openLog({ keyRing, compression: { codec: 'deflate' } });
    await commitMany(wal, 300, 300);
    await start(wal.directory, options).replicated(1);
    const shipper = closing.pop();
    await shipper?.();
    await start(wal, options).replicated(300);
    await expectReplicated(wal.directory, streamOf(options));
    const text = await withManager(server.address, (api) =>
      api.streams.getMessage(`walstack-${options.log}`, { seq: 2 }),
    );
    expect(Buffer.from(text?.data ?? []).includes('record')).toBe(false);
  });

  test('of two copies of a log, only one publishes: the other one is fenced, and nothing is mixed', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 90);
    const shipper = start(wal, options);
    await shipper.replicated(90);
    await wal.sync();
    const copy = join(temporaryDirectory(), 'copy');
    cpSync(wal.directory, copy, {
      recursive: true,
      filter: (path) => !path.endsWith('LOCK') && !path.includes('followers'),
    });
    const other = await openLog({}, copy);
    await wal.commit('one');
    await shipper.replicated(91);
    await other.commit('other');
    const second = start(other, options);
    expect(await rejection(second.replicated(91))).toMatchObject({
      code: 'WAL_FENCED',
      reason: 'other-writer',
      lsn: 91,
    });
    expect(second.state).toBe('failed');
    await commitMany(wal, 30);
    await shipper.replicated(121);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('a writer that is overtaken while it publishes is fenced', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 30);
    const shipper = start(wal, options);
    await shipper.replicated(30);
    const copy = join(temporaryDirectory(), 'copy');
    cpSync(wal.directory, copy, {
      recursive: true,
      filter: (path) => !path.endsWith('LOCK') && !path.includes('followers'),
    });
    const other = await openLog({}, copy);
    const second = start(other, options);
    await other.commit('other');
    await second.replicated(31);
    await wal.commit('one');
    expect(await rejection(shipper.replicated(31))).toMatchObject({ code: 'WAL_FENCED' });
    expect(await rejection(shipper.ended())).toMatchObject({ code: 'WAL_FENCED' });
    await commitMany(other, 30);
    await second.replicated(61);
    await expectReplicated(other.directory, streamOf(options));
  });

  test('the log of each core has a stream and a subject of its own', async () => {
    const options = nextOptions();
    const directory = join(temporaryDirectory(), 'cores');
    const manager = await PerCoreWalManager.open({ directory, cores: 2 });
    for (let each = 0; each < 60; each++) manager.writer(each % 2).appendPut(`key ${each}`, 'value');
    await manager.endEpoch();
    await manager.close();
    for (const core of [0, 1]) {
      const path = join(directory, `core-${core}`);
      const last = (await storedRecords(path)).at(-1)?.lsn ?? 0;
      const shipper = start(path, { ...options, core });
      await shipper.replicated(last);
      expect(shipper.stats()).toMatchObject({
        stream: `walstack-${options.log}-${core}`,
        subject: `walstack.${options.log}.${core}`,
        records: last,
      });
      await expectReplicated(path, { ...streamOf(options), core });
    }
  });

  test('another log is refused', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await wal.commit('one');
    await start(wal, options).replicated(1);
    const other = await openLog();
    await other.commit('one');
    expect(await rejection(start(other, options).replicated(1))).toMatchObject({
      code: 'WAL_FENCED',
      reason: 'other-log',
    });
  });

  test('a log that is cut goes on in the stream, and its restore is cut too', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 300);
    const shipper = start(wal, options);
    await shipper.replicated(300);
    await wal.truncateAfter(100);
    await commitMany(wal, 60);
    await shipper.replicated(160);
    await until(() => shipper.replicatedLsn === 160);
    await wal.truncateAfter(150);
    await commitMany(wal, 600);
    await shipper.replicated(750);
    await until(() => shipper.replicatedLsn === 750);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('cut connections, and messages that are lost on the way: nothing is lost or doubled', async () => {
    const options = nextOptions();
    const proxy = await TcpProxy.start(() => server.port);
    closing.unshift(() => proxy.close());
    const wal = await openLog();
    const shipper = start(wal, { ...options, connection: { servers: proxy.address }, retryMs: 20, timeoutMs: 300 });
    const writing = commitMany(wal, 3000);
    for (let cut = 1; cut <= 6; cut++) {
      await until(() => shipper.replicatedLsn >= cut * 300);
      if (cut % 3 === 0) {
        proxy.isPassing = false;
        await until(() => shipper.state === 'waiting');
        proxy.isPassing = true;
      } else proxy.cut();
    }
    await writing;
    await shipper.replicated(3000);
    expect(proxy.count).toBeGreaterThan(5);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('a full stream, and a deleted one: clear errors, and it goes on by itself', async () => {
    const options = nextOptions();
    const stream = `walstack-${options.log}`;
    const wal = await openLog();
    await commitMany(wal, 90);
    await withManager(server.address, (api) =>
      api.streams.add({
        name: stream,
        subjects: [`walstack.${options.log}`],
        max_msgs: 50,
        discard: DiscardPolicy.New,
      }),
    );
    const shipper = start(wal, { ...options, retryMs: 20 });
    await until(() => shipper.state === 'waiting');
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_NO_SPACE', reason: 'full', path: stream });
    expect(shipper.replicatedLsn).toBe(49);
    await withManager(server.address, (api) => api.streams.update(stream, { max_msgs: -1 }));
    await shipper.replicated(90);
    await withManager(server.address, (api) => api.streams.delete(stream));
    await commitMany(wal, 30);
    await shipper.replicated(120);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('a stream that is missing is waited for, unless it may be created', async () => {
    const { create, ...options } = nextOptions();
    const wal = await openLog();
    await wal.commit('one');
    const shipper = start(wal, { ...options, retryMs: 20 });
    await until(() => shipper.state === 'waiting');
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_NOT_FOUND' });
    await withManager(server.address, (api) =>
      api.streams.add({ name: `walstack-${options.log}`, subjects: [`walstack.${options.log}`] }),
    );
    await shipper.replicated(1);
    expect((await storedRecords(wal.directory)).length).toBe(1);
  });

  test.skipIf(withoutTls)('TLS: an unknown certificate is refused, a known one accepted', async () => {
    const { key, cert } = makeCertificate();
    const guarded = await NatsServer.start(`tls { key_file: "${key}", cert_file: "${cert}" }`);
    const wal = await openLog();
    await wal.commit('one');
    const options = { ...nextOptions(), retryMs: 20 };
    const trusted = { current: false };
    const connection = () =>
      connect({ servers: guarded.address, tls: trusted.current ? { caFile: cert } : {}, reconnect: false });
    const shipper = start(wal, { ...options, connection });
    await until(() => shipper.state === 'waiting');
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'tls' });
    trusted.current = true;
    await shipper.replicated(1);
    await shipper.close();
    await guarded.kill();
  });

  test('wrong credentials', async () => {
    const guarded = await NatsServer.start('authorization { users: [{ user: writer, password: right }] }');
    const options = { ...nextOptions(), retryMs: 20 };
    let pass = 'wrong';
    const wal = await openLog();
    await wal.commit('one');
    const connection = () => connect({ servers: guarded.address, user: 'writer', pass, reconnect: false });
    const shipper = start(wal, { ...options, connection });
    await until(() => shipper.state === 'waiting');
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'authorization' });
    pass = 'right';
    await shipper.replicated(1);
    await shipper.close();
    await guarded.kill();
  });
});

test('wrong options are refused', () => {
  const good = { connection: { servers: 'x' }, log: 'a' };
  const start = (options: object) => () => LogShipper.start('/nowhere', { ...good, ...options } as ShipOptions);
  expect(start({ log: 'a.b' })).toThrow(RangeError);
  expect(start({ log: 1 })).toThrow(TypeError);
  expect(start({ connection: 'nats://x' })).toThrow(TypeError);
  expect(start({ subject: 'a.>' })).toThrow(RangeError);
  expect(start({ creat: true })).toThrow(/did you mean "create"/);
  expect(start({ inFlightMax: 0 })).toThrow(RangeError);
});
