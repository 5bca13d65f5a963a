/**
 * Replicates a write-ahead log to a stream of NATS JetStream, and makes it again from there.
 *
 * ```ts
 * const shipper = LogShipper.start(wal, { connection: { servers: 'nats://localhost' }, log: 'orders', create: { num_replicas: 3 } });
 * await shipper.replicated(await wal.commit('order 17 paid')); // on a quorum of the cluster
 * await restoreLog('data/orders-again', { connection: { servers: 'nats://localhost' }, log: 'orders' });
 * ```
 *
 * @packageDocumentation
 */

export { type CompareCoresOptions, type CompareCoresReport, compareCores } from './cores/compare-cores.js';
export type { CoresStreamOptions } from './cores/cores-options.js';
export { type CoresShipOptions, CoresShipper, type CoresShipStats } from './cores/cores-shipper.js';
export { type RestoreCoresOptions, type RestoreCoresReport, restoreCores } from './cores/restore-cores.js';
export type { LogStreamOptions } from './options.js';
export { LogReplica, type ReplicaOptions, type ReplicaState } from './replica/log-replica.js';
export { type CompareOptions, type CompareReport, compareLog } from './restore/compare-log.js';
export { type RestoreOptions, type RestoreReport, restoreLog } from './restore/restore-log.js';
export { LogShipper, type ShipStats } from './ship/log-shipper.js';
export type { ShipOptions, ShipState } from './ship/ship-options.js';
export type { OpenLog } from './ship/source.js';
export type { CreateOptions } from './stream/log-stream.js';
