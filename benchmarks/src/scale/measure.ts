import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { LogShipper, restoreLog } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { Scratch } from '../machine/scratch.js';
import { Cluster } from '../servers/cluster.js';
import type { Costs } from './setup.js';

const PAYLOAD = new Uint8Array(100);
const SERVERS = 3;
/** Lone records whose latency is measured. */
const LONE = 300;

/** What shipping some logs took. */
interface Shipped {
  readonly logs: number;
  readonly replicas: number;
  readonly recordsPerSecond: number;
}

/** What an outage of the server did that leads the stream of a log. */
interface OutageSeen {
  readonly replicas: number;
  readonly rate: number;
  readonly outageS: number;
  readonly lagMax: number;
  /** From the outage until what was committed is replicated but for what is on its way. */
  readonly caughtUpS: number;
}

/** What was measured. */
export interface Measured {
  readonly costs: Costs;
  readonly shipped: readonly Shipped[];
  readonly outages: readonly OutageSeen[];
}

/** An outage that is made. */
interface Planned {
  readonly replicas: number;
  /** Records per second that are committed. */
  readonly rate: number;
  readonly fromS: number;
  readonly seconds: number;
  /** Then it is given up. */
  readonly untilS: number;
}

/** How much is measured. */
export interface Extent {
  readonly records: number;
  /** Logs of the configurations that the costs are not taken from. */
  readonly logs: readonly number[];
  readonly outages: readonly Planned[];
}

/** Measures what records cost on three servers of this machine, and what several logs and an outage do there. */
export async function measure(data: string, extent: Extent, tell: (text: string) => void): Promise<Measured> {
  using scratch = new Scratch(data);
  const alone = await measuredCosts(scratch, 1, extent.records);
  tell(`one replica: ${JSON.stringify(alone)}`);
  const replicated = await measuredCosts(scratch, SERVERS, extent.records);
  tell(`three replicas: ${JSON.stringify(replicated)}`);
  const costs: Costs = {
    clientUs: (alone.clientUs + replicated.clientUs) / 2,
    leaderUs: { alone: alone.leaderUs, replicated: replicated.leaderUs },
    followerUs: replicated.followerUs,
    delayUs: {
      alone: Math.max(0, alone.loneUs - alone.clientUs - alone.leaderUs),
      replicated: Math.max(0, replicated.loneUs - replicated.clientUs - replicated.leaderUs - replicated.followerUs),
    },
    rebuildUs: alone.rebuildUs,
  };
  const shipped: Shipped[] = [];
  for (const replicas of [1, SERVERS]) {
    for (const logs of extent.logs) {
      const cluster = await Cluster.start(scratch.next('cluster'), SERVERS);
      const found = await shipLogs(scratch, cluster, logs, replicas, extent.records);
      await cluster.stop();
      scratch.clear();
      shipped.push({ logs, replicas, recordsPerSecond: (logs * extent.records * 1e6) / found.spentUs });
      tell(`${logs} logs, ${replicas} replicas: ${Math.round(shipped.at(-1)?.recordsPerSecond ?? 0)} records/s`);
    }
  }
  const outages: OutageSeen[] = [];
  for (const planned of extent.outages) {
    const seen = await outageOf(scratch, planned);
    outages.push(seen);
    tell(`outage: ${JSON.stringify(seen)}`);
  }
  return { costs, shipped, outages };
}

interface Own {
  readonly clientUs: number;
  readonly leaderUs: number;
  readonly followerUs: number;
  readonly loneUs: number;
  readonly rebuildUs: number;
}

/** The costs of one log. Servers that do nothing else use some time as well, which is measured before. */
async function measuredCosts(scratch: Scratch, replicas: number, records: number): Promise<Own> {
  const cluster = await Cluster.start(scratch.next('cluster'), SERVERS);
  const { spentUs, clientUs, servers, leader, loneUs, restoredUs } = await shipLogs(
    scratch,
    cluster,
    1,
    replicas,
    records,
  );
  await cluster.stop();
  scratch.clear();
  if (spentUs === 0) throw new Error('nothing was shipped');
  const followers = servers.filter((_, index) => index !== leader);
  const used = replicas === 1 ? [] : followers;
  return {
    clientUs: clientUs / records,
    leaderUs: (servers[leader] as number) / records,
    followerUs: used.length === 0 ? 0 : used.reduce((sum, us) => sum + us, 0) / used.length / records,
    loneUs,
    rebuildUs: restoredUs / records,
  };
}

/** Ships logs that are there already, side by side. */
async function shipLogs(scratch: Scratch, cluster: Cluster, logs: number, replicas: number, records: number) {
  const connection = { servers: cluster.addresses };
  const wals: Wal[] = [];
  for (let log = 0; log < logs; log++) {
    const wal = await Wal.open(scratch.next('log'));
    for (let lsn = 1; lsn <= records; lsn++) {
      wal.append(PAYLOAD);
      if (lsn % 1000 === 0) await wal.flush();
    }
    await wal.sync();
    wals.push(wal);
  }
  for (const [index] of wals.entries()) await makeStream(connection, `scale${index}`, replicas);
  const before = usage(cluster);
  const begun = performance.now();
  const shippers = wals.map((wal, index) => LogShipper.start(wal, { connection, log: `scale${index}` }));
  await Promise.all(shippers.map((shipper) => shipper.replicated(records)));
  const spentUs = (performance.now() - begun) * 1000;
  const after = usage(cluster);
  const [shipper] = shippers as [LogShipper];
  const [wal] = wals as [Wal];
  const lone: number[] = [];
  for (let each = 0; each < LONE; each++) {
    const lsn = await wal.commit(PAYLOAD);
    const at = performance.now();
    await shipper.replicated(lsn);
    lone.push((performance.now() - at) * 1000);
  }
  const leader = await leaderOf(connection, 'scale0');
  for (const each of shippers) await each.close();
  for (const each of wals) await each.shutdown();
  const cpuBefore = process.cpuUsage();
  await restoreLog(scratch.next('restored'), { connection, log: 'scale0' });
  const restored = process.cpuUsage(cpuBefore);
  return {
    spentUs,
    clientUs: after.own - before.own,
    servers: after.servers.map((us, index) => us - (before.servers[index] as number)),
    leader,
    loneUs: lone.sort((one, other) => one - other)[LONE / 2] as number,
    restoredUs: restored.user + restored.system,
  };
}

function usage(cluster: Cluster): { readonly own: number; readonly servers: readonly number[] } {
  const { user, system } = process.cpuUsage();
  return { own: user + system, servers: cluster.addresses.map((_, index) => cluster.processorUs(index)) };
}

/** A log is committed to at a rate while the server that leads its stream is gone, and until it has caught up. */
async function outageOf(scratch: Scratch, outage: Planned): Promise<OutageSeen> {
  const cluster = await Cluster.start(scratch.next('cluster'), SERVERS);
  const connection = { servers: cluster.addresses };
  await makeStream(connection, 'outage', outage.replicas);
  const wal = await Wal.open(scratch.next('log'));
  const shipper = LogShipper.start(wal, { connection, log: 'outage', retryMs: 200, timeoutMs: 1000 });
  const begun = performance.now();
  const seconds = (): number => (performance.now() - begun) / 1000;
  let lagMax = 0;
  let caughtUpS: number | undefined;
  let goneAt: number | undefined;
  let back: Promise<void> | undefined;
  const leader = await leaderOf(connection, 'outage');
  while (seconds() < outage.untilS && caughtUpS === undefined) {
    const due = Math.floor(seconds() * outage.rate) - wal.lastLsn;
    for (let each = 0; each < due; each++) wal.append(PAYLOAD);
    await wal.sync();
    const { replicatedLsn } = shipper;
    lagMax = Math.max(lagMax, wal.lastLsn - replicatedLsn);
    if (goneAt === undefined && seconds() >= outage.fromS) {
      await cluster.killServer(leader);
      goneAt = seconds();
    }
    if (goneAt !== undefined && back === undefined && seconds() >= goneAt + outage.seconds) {
      back = cluster.startServer(leader);
    }
    if (goneAt !== undefined && seconds() > goneAt + 1 && wal.lastLsn - replicatedLsn <= 256)
      caughtUpS = seconds() - goneAt;
    await delay(5);
  }
  await back;
  await shipper.close();
  await wal.shutdown();
  await cluster.stop();
  scratch.clear();
  if (caughtUpS === undefined) throw new Error('the log has not caught up in time');
  return { replicas: outage.replicas, rate: outage.rate, outageS: outage.seconds, lagMax, caughtUpS };
}

/** Makes a stream, once the cluster has a leader. */
async function makeStream(connection: { servers: string[] }, log: string, replicas: number): Promise<void> {
  const client = await connect(connection);
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        const manager = await jetstreamManager(client, { checkAPI: false });
        const names = { name: `walstack-${log}`, subjects: [`walstack.${log}`] };
        await manager.streams.add({ ...names, num_replicas: replicas, discard: 'new' as never, max_bytes: -1 });
        return;
      } catch (error) {
        if (attempt === 100) throw error;
        await delay(100);
      }
    }
  } finally {
    await client.close();
  }
}

/** The number of the server that leads a stream. */
async function leaderOf(connection: { servers: string[] }, log: string): Promise<number> {
  const client = await connect(connection);
  try {
    const manager = await jetstreamManager(client);
    const { cluster } = await manager.streams.info(`walstack-${log}`);
    return Number(cluster?.leader?.slice(1) ?? 0);
  } finally {
    await client.close();
  }
}
