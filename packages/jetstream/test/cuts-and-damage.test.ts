import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { compareLog, restoreLog } from '@walstack/jetstream';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commitMany, expectReplicated, until, withManager } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpShipping } from './support/set-up.js';
import { TcpProxy } from './support/tcp-proxy.js';

describe.skipIf(withoutServer !== undefined)('shipping a log that is cut, and to a damaged stream', () => {
  const { server, closing, nextOptions, streamOf, openLog, start } = setUpShipping();
  /** A log with 300 records that is shipped through a proxy. */
  const shippedThroughProxy = async () => {
    const options = nextOptions();
    const proxy = await TcpProxy.start(() => server.port);
    closing.push(() => proxy.close());
    const wal = await openLog();
    await commitMany(wal, 300);
    const shipper = start(wal, { ...options, connection: { servers: proxy.address }, timeoutMs: 300 });
    await shipper.replicated(300);
    return { options, proxy, wal, shipper };
  };

  test('a record with the LSN of one that was cut off is not replicated before it is stored itself', async () => {
    const { options, proxy, wal, shipper } = await shippedThroughProxy();
    proxy.isPassing = false;
    await wal.truncateAfter(100);
    await commitMany(wal, 3);
    let isReplicated = false;
    const waiting = shipper.replicated(103).then(() => {
      isReplicated = true;
    });
    await until(() => shipper.state === 'waiting');
    expect(isReplicated).toBe(false);
    proxy.isPassing = true;
    await waiting;
    expect(shipper.replicatedLsn).toBe(103);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('a record of a log that is given as a directory, neither', async () => {
    const options = nextOptions();
    const wal = await openLog();
    await commitMany(wal, 90);
    const shipper = start(wal.directory, options);
    await shipper.replicated(80);
    await wal.truncateAfter(66);
    await wal.commit('new');
    await shipper.replicated(67);
    const restored = join(temporaryDirectory(), 'restored');
    expect(await restoreLog(restored, streamOf(options))).toMatchObject({ lastLsn: 67 });
    expect(await compareLog(wal.directory, streamOf(options))).toMatchObject({ agrees: true, records: 67 });
  });

  test('waiting for a record that is cut off ends', async () => {
    const { proxy, wal, shipper } = await shippedThroughProxy();
    proxy.isPassing = false;
    await commitMany(wal, 3);
    const outcome = rejection(shipper.replicated(302));
    await until(() => shipper.state === 'waiting');
    await wal.truncateAfter(300);
    await commitMany(wal, 3);
    proxy.isPassing = true;
    await shipper.replicated(303);
    expect(await outcome).toMatchObject({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn: 302 });
  });

  test('a log that is cut while no server can be reached goes on in the stream', async () => {
    const { options, proxy, wal, shipper } = await shippedThroughProxy();
    proxy.isPassing = false;
    await wal.commit('lost on the way');
    await until(() => shipper.state === 'waiting');
    await wal.truncateAfter(200);
    await commitMany(wal, 3);
    await wal.truncateAfter(100);
    await commitMany(wal, 30);
    proxy.isPassing = true;
    await shipper.replicated(130);
    await expectReplicated(wal.directory, streamOf(options));
    expect(await compareLog(wal.directory, streamOf(options))).toMatchObject({ agrees: true, records: 130 });
  });

  test('the first records behind a cut are stored once, also when their acknowledgement is lost', async () => {
    const { options, proxy, wal, shipper } = await shippedThroughProxy();
    for (const cut of [200, 100]) {
      proxy.isAnswering = false;
      await wal.truncateAfter(cut);
      await commitMany(wal, 3);
      await until(() => shipper.state === 'waiting');
      proxy.isAnswering = true;
      await shipper.replicated(cut + 3);
    }
    await commitMany(wal, 30);
    await shipper.replicated(133);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('a stream whose limit leaves no room for a record is an error, and goes on when it is raised', async () => {
    const options = nextOptions();
    const name = `walstack-${options.log}`;
    await withManager(server.address, (api) =>
      api.streams.add({ name, subjects: [`walstack.${options.log}`], max_msg_size: 512 }),
    );
    const wal = await openLog();
    await wal.commit('one');
    const shipper = start(wal, options);
    await until(() => shipper.state === 'waiting');
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_TOO_LARGE', path: name, limit: 512 });
    await withManager(server.address, (api) => api.streams.update(name, { max_msg_size: 1024 }));
    await shipper.replicated(1);
    await expectReplicated(wal.directory, streamOf(options));
  });

  test('nothing is published behind a message that was deleted at the end of the stream', async () => {
    const options = nextOptions();
    const name = `walstack-${options.log}`;
    const wal = await openLog();
    await commitMany(wal, 30);
    const shipper = start(wal, options);
    await shipper.replicated(30);
    await shipper.close();
    const { last_seq } = await withManager(server.address, async (api) => {
      const { state } = await api.streams.info(name);
      await api.streams.deleteMessage(name, state.last_seq);
      return state;
    });
    await wal.commit('next');
    const next = start(wal, options);
    expect(await rejection(next.ended())).toMatchObject({ code: 'WAL_CORRUPT', reason: 'deleted' });
    const { state } = await withManager(server.address, (api) => api.streams.info(name));
    expect(state.last_seq).toBe(last_seq);
  });

  test('a connection that is never opened ends with the time limit, and close() does not wait for it', async () => {
    const wal = await openLog();
    let deliver = (): void => {};
    const late = new Promise<void>((resolve) => {
      deliver = resolve;
    });
    let opened: Awaited<ReturnType<typeof connect>> | undefined;
    const connection = async () => {
      await late;
      opened = await connect({ servers: server.address, reconnect: false });
      return opened;
    };
    const shipper = start(wal, { ...nextOptions(), connection, timeoutMs: 50 });
    await until(() => shipper.state === 'waiting');
    expect(shipper.stats().lastError).toMatchObject({ code: 'WAL_TIMEOUT' });
    await shipper.close();
    deliver();
    await until(() => opened?.isClosed() === true);
  });
});
