/** What a record costs, in microseconds. Times of processors are those of one core. */
export interface Costs {
  /** Of the process that ships the log. */
  readonly clientUs: number;
  /** Of the server that leads the stream, where that has one replica, and where it has more. */
  readonly leaderUs: { readonly alone: number; readonly replicated: number };
  /** Of each server that follows the leader. */
  readonly followerUs: number;
  /** From the publication of a lone record to its acknowledgement, without these: the network, the disk, waking up. */
  readonly delayUs: { readonly alone: number; readonly replicated: number };
  /** Of a process that makes the log again from the stream. */
  readonly rebuildUs: number;
}

/** A server that is gone for a while. */
interface Outage {
  readonly fromS: number;
  readonly toS: number;
}

/** Logs, the cluster that they are shipped to, and how long it is looked at. */
export interface Setup {
  /** Each has a stream of its own. */
  readonly logs: number;
  /** Processes that ship them, each in one thread. */
  readonly writers: number;
  readonly servers: number;
  readonly replicas: number;
  /** Cores of a machine. */
  readonly cores: number;
  /** Whether all servers and writers are on one machine; otherwise each has a machine of its own. */
  readonly oneMachine: boolean;
  /** Records per second that are committed to each log; `Infinity` for a log that is there already. */
  readonly rate: number;
  /** Bytes of a record in its frame. */
  readonly recordBytes: number;
  /** Bytes per second that the network of a server passes in each direction. */
  readonly networkBytes: number;
  /** Messages of a log that are on their way at most. */
  readonly window: number;
  /** The first server is gone for so long. */
  readonly outage?: Outage;
  readonly costs: Costs;
}

/** Bytes of headers and of the protocol around a record. */
export const MESSAGE_BYTES = 120;

/**
 * How long a stream of the server that is gone has no leader, in seconds: Raft of the server waits so long for it before it elects another
 * (`minElectionTimeout` and `maxElectionTimeout` of nats-server 2.9).
 */
export const ELECTION_S = { least: 4, most: 9 } as const;

/** The replicas of a log are on these servers, its leader on the first of them. Placed in turn, as the streams are made. */
export const placeOf = (log: number, { servers, replicas }: Setup): readonly number[] =>
  Array.from({ length: replicas }, (_, index) => (log + index) % servers);
