import { join } from 'node:path';
import process from 'node:process';
import { connect } from '@nats-io/transport-node';
import { compareLog, LogShipper, type ShipOptions } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { commitMany, expectReplicated, storedRecords, until, withManager } from './support/logs.js';
import { type NatsServer, startCluster, withoutServer } from './support/nats-servers.js';
import { Writer } from './support/writer.js';

/** The native addon has no part in it: once is enough where the tests run a second time without it. */
const isRepeated = process.env['WALSTACK_NATIVE'] === '0';

describe.skipIf(withoutServer !== undefined || isRepeated)('a cluster of three, three replicas', () => {
  test('any server killed in mid-stream, the writer killed, all servers restarted: each record once, in order', async () => {
    const servers = await startCluster();
    const directory = join(temporaryDirectory(), 'log');
    const log = 'orders';
    const timeoutMs = 1000;
    const options = (): ShipOptions => ({
      connection: { servers: servers.map(({ address }) => address) },
      log,
      create: { num_replicas: 3 },
      timeoutMs,
      retryMs: 200,
    });
    const kill = async (server: NatsServer, shipper: () => number): Promise<void> => {
      const before = shipper();
      await until(() => shipper() >= before + 100);
      await server.kill();
      await until(() => shipper() >= before + 400);
      await server.start();
    };

    // The leader of the stream is killed, which every record goes through.
    const writer = new Writer(directory, options());
    await until(() => writer.replicated > 0);
    const leader = (await withManager(servers[0]?.address ?? '', (api) => api.streams.info('walstack-orders'))).cluster
      ?.leader;
    await kill(servers.find((_, index) => `n${index}` === leader) as NatsServer, () => writer.replicated);
    await writer.kill();
    expect(writer.committed).toBeGreaterThanOrEqual(writer.replicated);

    const wal = await Wal.open(directory, { segmentBytes: 64 * 1024 });
    expect(wal.lastLsn).toBeGreaterThanOrEqual(writer.committed);
    let addresses = servers.map(({ address }) => address);
    const connection = () => connect({ servers: addresses, reconnect: false, timeout: timeoutMs });
    const shipper = LogShipper.start(wal, { ...options(), connection });
    const replicated = (): number => shipper.replicatedLsn;
    await shipper.replicated(wal.lastLsn);
    let isWriting = true;
    const writing = (async () => {
      while (isWriting) await commitMany(wal, 30);
    })();
    await kill(servers.find((_, index) => `n${index}` !== leader) as NatsServer, replicated);
    addresses = servers.map(({ address }) => address);
    await Promise.all(servers.map((server) => server.kill()));
    isWriting = false;
    await writing;
    await commitMany(wal, 90);
    await Promise.all(servers.map((server) => server.start()));
    addresses = servers.map(({ address }) => address);
    await shipper.replicated(wal.lastLsn);

    const read = { connection: { servers: addresses }, log };
    await expectReplicated(directory, read);
    const { length } = await storedRecords(directory);
    expect(await compareLog(directory, read)).toMatchObject({ agrees: true, records: length, differing: [] });
    await shipper.close();
    await wal.shutdown();
  });
});
