import { performance } from 'node:perf_hooks';
import { jetstream as clientOf, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { LogShipper } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import type { Case, Contestant, Sample } from '../../case.js';
import { Latencies } from '../../rows/latencies.js';
import { Cluster, serverMissing } from '../../servers/cluster.js';
import type { Settings } from '../../settings.js';

const PAYLOAD = new Uint8Array(100);
/** A frame of 48 bytes around the payload, and its position. */
const MESSAGE = new Uint8Array(PAYLOAD.length + 56);
/** Messages that are on their way, as the shipper has by default. */
const IN_FLIGHT = 256;

/** How fast a log is replicated, and what waiting for that adds to a commit. */
export function jetstream(settings: Settings): Case[] {
  if (serverMissing !== undefined) return [];
  const records = settings.records / 10;
  return [
    {
      bench: 'jetstream',
      name: 'ship',
      unit: 'records/s',
      contestants: [
        onServer('walstack/jetstream', settings, (server, log) => shipped(server, log, settings, records)),
        onServer('nats-client', settings, (server, log) => published(server, log, records)),
      ],
    },
    {
      bench: 'jetstream',
      name: 'commit',
      unit: 'commits/s',
      contestants: [
        onServer('walstack/replicated', settings, (server, log) => committed(server, log, settings, true)),
        onServer('walstack', settings, (server, log) => committed(server, log, settings, false)),
      ],
    },
  ];
}

/** Work with one server, which has a stream of its own for each measurement. */
function onServer(
  subject: string,
  { scratch }: Settings,
  work: (server: string, log: string) => Promise<Sample>,
): Contestant {
  let server: Cluster | undefined;
  let measured = 0;
  return {
    subject,
    prepare: async () => {
      server = await Cluster.start(scratch.next('server'), 1);
    },
    measure: () => work(server?.addresses[0] ?? '', `bench${++measured}`),
    end: async () => {
      await server?.stop();
    },
  };
}

/** A log that is there already is shipped. */
async function shipped(server: string, log: string, { scratch }: Settings, records: number): Promise<Sample> {
  const wal = await Wal.open(scratch.next('log'));
  for (let lsn = 1; lsn <= records; lsn++) {
    wal.append(PAYLOAD);
    if (lsn % 1000 === 0) await wal.flush();
  }
  await wal.sync();
  const begin = performance.now();
  const shipper = LogShipper.start(wal, { connection: { servers: server }, log, create: true });
  await shipper.replicated(records);
  const spent = performance.now() - begin;
  const stats = shipper.stats();
  await shipper.close();
  await wal.shutdown();
  if (stats.records !== records) throw new Error(`${stats.records} of ${records} records were shipped`);
  return { value: (records * 1000) / spent };
}

/** The client publishes messages with as many bytes, as many at a time, without a log and without any check. */
async function published(server: string, log: string, records: number): Promise<Sample> {
  const connection = await connect({ servers: server });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: log, subjects: [log], storage: StorageType.File });
  const client = clientOf(connection);
  let left = records;
  const publish = async (): Promise<void> => {
    while (left-- > 0) await client.publish(log, MESSAGE);
  };
  const begin = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, publish));
  const spent = performance.now() - begin;
  const { state } = await manager.streams.info(log);
  await connection.close();
  if (state.messages !== records) throw new Error(`${state.messages} of ${records} messages were stored`);
  return { value: (records * 1000) / spent };
}

/** One commit after the other, each of which is waited for: durable here, or also replicated. */
async function committed(
  server: string,
  log: string,
  { scratch, durationMs }: Settings,
  isReplicated: boolean,
): Promise<Sample> {
  const wal = await Wal.open(scratch.next('log'));
  const shipper = LogShipper.start(wal, { connection: { servers: server }, log, create: true });
  await shipper.replicated(wal.commit(PAYLOAD));
  const latencies = new Latencies();
  const begin = performance.now();
  for (let now = begin; now < begin + durationMs; ) {
    if (isReplicated) await shipper.replicated(wal.commit(PAYLOAD));
    else await wal.commit(PAYLOAD);
    const after = performance.now();
    latencies.add((after - now) * 1000);
    now = after;
  }
  const spent = performance.now() - begin;
  await shipper.close();
  await wal.shutdown();
  return { value: (latencies.count * 1000) / spent, latency: latencies.summary };
}
