import { MESSAGE_BYTES, placeOf, type Setup } from './setup.js';

/** What limits all logs together, and to how many records per second. */
export interface Bound {
  readonly what: string;
  readonly recordsPerSecond: number;
}

/** The limits of a cluster, the lowest first. It fails first at that one. */
export function boundsOf(setup: Setup): readonly Bound[] {
  const { logs, writers, servers, replicas, cores, oneMachine, costs, window, rate, networkBytes } = setup;
  const isAlone = replicas === 1;
  const leaderUs = isAlone ? costs.leaderUs.alone : costs.leaderUs.replicated;
  const followersUs = (replicas - 1) * costs.followerUs;
  const delayUs = isAlone ? costs.delayUs.alone : costs.delayUs.replicated;
  const perSecond = (us: number): number => (us > 0 ? 1e6 / us : Number.POSITIVE_INFINITY);
  const latencyUs = costs.clientUs + leaderUs + (isAlone ? 0 : costs.followerUs) + delayUs;
  const led = Math.min(logs, servers);
  const machines = oneMachine
    ? [
        {
          what: 'the processor of the machine',
          recordsPerSecond: cores * perSecond(costs.clientUs + leaderUs + followersUs),
        },
      ]
    : [
        {
          what: 'the processors of the servers',
          recordsPerSecond: logs * cores * perSecond(busiestUs(setup, leaderUs)),
        },
      ];
  const bytes = setup.recordBytes + MESSAGE_BYTES;
  const bounds: Bound[] = [
    ...machines,
    { what: 'the threads that ship', recordsPerSecond: Math.min(writers, logs) * perSecond(costs.clientUs) },
    { what: 'one stream at its leader', recordsPerSecond: logs * perSecond(leaderUs) },
    { what: 'the window of each log', recordsPerSecond: (logs * window * 1e6) / latencyUs },
    { what: 'the network of a leader', recordsPerSecond: (led * networkBytes) / (bytes * Math.max(1, replicas - 1)) },
    { what: 'what is committed', recordsPerSecond: logs * rate },
  ];
  return bounds.sort((one, other) => one.recordsPerSecond - other.recordsPerSecond);
}

/** The time that one record of each log takes on the server that has most to do: it leads some streams, and follows others. */
function busiestUs(setup: Setup, leaderUs: number): number {
  const busyUs = Array.from({ length: setup.servers }, () => 0);
  for (let log = 0; log < setup.logs; log++) {
    for (const [index, server] of placeOf(log, setup).entries()) {
      busyUs[server] = (busyUs[server] as number) + (index === 0 ? leaderUs : setup.costs.followerUs);
    }
  }
  return Math.max(...busyUs);
}

/** How long the logs need to catch up with what was committed while no record was stored, in seconds. */
export function catchUpSeconds(outageS: number, { rate, logs }: Setup, capacity: number): number {
  const load = rate * logs;
  return load < capacity ? (outageS * load) / (capacity - load) : Number.POSITIVE_INFINITY;
}
