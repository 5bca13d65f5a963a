/**
 * What Node.js cannot do by itself, as a small Node-API addon. This JavaScript always loads; the binary may be missing,
 * because there was no compiler, the platform is not supported or `WALSTACK_NATIVE=0` is set: then {@link available} is
 * `false` and {@link unavailableReason} is the reason.
 *
 * @packageDocumentation
 */

export { crc32c, findDurabilityProof, scanFrames, sealFrames } from './bytes.js';
export { type DirectIoAlignment, directIoAlignment, useDirectIo } from './direct-io.js';
export { available, unavailableReason } from './load.js';
export { fileLocksUnavailableReason, holdLock, type LockMode, lockFile, unlockFile } from './locks.js';
export { type MapFileOptions, type Mapping, type MappingAdvice, mapFile, mappingUnavailableReason } from './mapping.js';
export { allocateAligned } from './memory.js';
export { Ring, RingFlag, type RingOptions, type RingStats, type RingTaskWork } from './ring.js';
export { type RingSupport, ringFailure, ringSupport } from './ring-support.js';
