import type { Scenario } from '../scenario.js';
import { scenario as backups } from './backups.js';
import { scenario as backupsBesideCuts } from './backups-beside-cuts.js';
import { scenario as backupsWithKeys } from './backups-with-keys.js';
import { scenario as batches } from './batches.js';
import { scenario as blocksInFlightApart } from './blocks-in-flight-apart.js';
import { scenario as blocksOfManySectors } from './blocks-of-many-sectors.js';
import { scenario as callsInAnyOrder } from './calls-in-any-order.js';
import { scenario as checkpointBeforeRemoval } from './checkpoint-before-removal.js';
import { scenario as checkpointBehindTheFirstName } from './checkpoint-behind-the-first-name.js';
import { scenario as checkpointLoweredFirst } from './checkpoint-lowered-first.js';
import { scenario as closedBehindTheBackground } from './closed-behind-the-background.js';
import { scenario as closes } from './closes.js';
import { scenario as compressedAndEncrypted } from './compressed-and-encrypted.js';
import { scenario as contiguousDurablePrefix } from './contiguous-durable-prefix.js';
import { scenario as coresCheckpoints } from './cores-checkpoints.js';
import { scenario as coresComeAndGo } from './cores-come-and-go.js';
import { scenario as coresComeAndGoCleanly } from './cores-come-and-go-cleanly.js';
import { scenario as coresEpochs } from './cores-epochs.js';
import { scenario as coresKilledInRecovery } from './cores-killed-in-recovery.js';
import { scenario as coresResetAndTruncate } from './cores-reset-and-truncate.js';
import { scenario as coresSubmittedSyncs } from './cores-submitted-syncs.js';
import { scenario as directoriesMadeDurable } from './directories-made-durable.js';
import { scenario as durableAtBatchEnds } from './durable-at-batch-ends.js';
import { scenario as encryptionWithRotation } from './encryption-with-rotation.js';
import { scenario as failuresBesideOtherWork } from './failures-beside-other-work.js';
import { scenario as flushes } from './flushes.js';
import { scenario as followers } from './followers.js';
import { scenario as framesAtBlockEnds } from './frames-at-block-ends.js';
import { scenario as freedNameDurableBeforeOverwritten } from './freed-name-durable-before-overwritten.js';
import { scenario as freshIdForEveryReuse } from './fresh-id-for-every-reuse.js';
import { scenario as fullDisk } from './full-disk.js';
import { scenario as goesOnBehindClose } from './goes-on-behind-close.js';
import { scenario as goesOnWithRoom } from './goes-on-with-room.js';
import { scenario as groups } from './groups.js';
import { scenario as groupsInFlightWithoutRoom } from './groups-in-flight-without-room.js';
import { scenario as growingSegments } from './growing-segments.js';
import { scenario as headerBeforeAnythingElse } from './header-before-anything-else.js';
import { scenario as holds } from './holds.js';
import { scenario as holesBehindZeros } from './holes-behind-zeros.js';
import { scenario as keysBeforeTheFirstAppend } from './keys-before-the-first-append.js';
import { scenario as largeGroups } from './large-groups.js';
import { scenario as lateWritesBehindACut } from './late-writes-behind-a-cut.js';
import { scenario as lateWritesOfTheKilled } from './late-writes-of-the-killed.js';
import { scenario as leftoversAfterTheNames } from './leftovers-after-the-names.js';
import { scenario as markOnlyWhenAllDurable } from './mark-only-when-all-durable.js';
import { scenario as markWhenClosed } from './mark-when-closed.js';
import { scenario as markWhenIdle } from './mark-when-idle.js';
import { scenario as markWhenRecovered } from './mark-when-recovered.js';
import { scenario as nameBeforeAcknowledgement } from './name-before-acknowledgement.js';
import { scenario as namesBesideEachOther } from './names-beside-each-other.js';
import { scenario as noRoomChangesNothing } from './no-room-changes-nothing.js';
import { scenario as noncesNeverRepeat } from './nonces-never-repeat.js';
import { scenario as nothingBehindAnUndurableMark } from './nothing-behind-an-undurable-mark.js';
import { scenario as openingsThatAreAborted } from './openings-that-are-aborted.js';
import { scenario as preparedSegments } from './prepared-segments.js';
import { scenario as readersAfterACrash } from './readers-after-a-crash.js';
import { scenario as recycledBehindACut } from './recycled-behind-a-cut.js';
import { scenario as reserve } from './reserve.js';
import { scenario as resetTo } from './reset-to.js';
import { scenario as retention } from './retention.js';
import { scenario as rolls } from './rolls.js';
import { scenario as runsOfAllKinds } from './runs-of-all-kinds.js';
import { scenario as runsWithoutClose } from './runs-without-close.js';
import { scenario as salvage } from './salvage.js';
import { scenario as salvageAroundDamage } from './salvage-around-damage.js';
import { scenario as salvageWithoutACheckpoint } from './salvage-without-a-checkpoint.js';
import { scenario as sealing } from './sealing.js';
import { scenario as singleCommits } from './single-commits.js';
import { scenario as standaloneCoreWriter } from './standalone-core-writer.js';
import { scenario as truncateAfter } from './truncate-after.js';
import { scenario as truncateAll } from './truncate-all.js';
import { scenario as truncateBesideGroups } from './truncate-beside-groups.js';
import { scenario as truncatePart } from './truncate-part.js';
import { scenario as walAppendsAndCommits } from './wal-appends-and-commits.js';
import { scenario as walBackpressure } from './wal-backpressure.js';
import { scenario as walClosedBehindTheBackground } from './wal-closed-behind-the-background.js';
import { scenario as walGroupCommit } from './wal-group-commit.js';
import { scenario as writtenAgainAtRecovery } from './written-again-at-recovery.js';

/** Every scenario, by the name of its file. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'backups-beside-cuts': backupsBesideCuts,
  'backups-with-keys': backupsWithKeys,
  backups,
  batches,
  'blocks-in-flight-apart': blocksInFlightApart,
  'blocks-of-many-sectors': blocksOfManySectors,
  'calls-in-any-order': callsInAnyOrder,
  'checkpoint-before-removal': checkpointBeforeRemoval,
  'checkpoint-behind-the-first-name': checkpointBehindTheFirstName,
  'checkpoint-lowered-first': checkpointLoweredFirst,
  'closed-behind-the-background': closedBehindTheBackground,
  closes,
  'compressed-and-encrypted': compressedAndEncrypted,
  'contiguous-durable-prefix': contiguousDurablePrefix,
  'cores-checkpoints': coresCheckpoints,
  'cores-come-and-go-cleanly': coresComeAndGoCleanly,
  'cores-come-and-go': coresComeAndGo,
  'cores-epochs': coresEpochs,
  'cores-killed-in-recovery': coresKilledInRecovery,
  'cores-reset-and-truncate': coresResetAndTruncate,
  'cores-submitted-syncs': coresSubmittedSyncs,
  'directories-made-durable': directoriesMadeDurable,
  'durable-at-batch-ends': durableAtBatchEnds,
  'encryption-with-rotation': encryptionWithRotation,
  'failures-beside-other-work': failuresBesideOtherWork,
  flushes,
  followers,
  'frames-at-block-ends': framesAtBlockEnds,
  'freed-name-durable-before-overwritten': freedNameDurableBeforeOverwritten,
  'fresh-id-for-every-reuse': freshIdForEveryReuse,
  'full-disk': fullDisk,
  'goes-on-behind-close': goesOnBehindClose,
  'goes-on-with-room': goesOnWithRoom,
  'groups-in-flight-without-room': groupsInFlightWithoutRoom,
  groups,
  'growing-segments': growingSegments,
  'header-before-anything-else': headerBeforeAnythingElse,
  holds,
  'holes-behind-zeros': holesBehindZeros,
  'keys-before-the-first-append': keysBeforeTheFirstAppend,
  'large-groups': largeGroups,
  'late-writes-behind-a-cut': lateWritesBehindACut,
  'late-writes-of-the-killed': lateWritesOfTheKilled,
  'leftovers-after-the-names': leftoversAfterTheNames,
  'mark-only-when-all-durable': markOnlyWhenAllDurable,
  'mark-when-closed': markWhenClosed,
  'mark-when-idle': markWhenIdle,
  'mark-when-recovered': markWhenRecovered,
  'name-before-acknowledgement': nameBeforeAcknowledgement,
  'names-beside-each-other': namesBesideEachOther,
  'no-room-changes-nothing': noRoomChangesNothing,
  'nonces-never-repeat': noncesNeverRepeat,
  'nothing-behind-an-undurable-mark': nothingBehindAnUndurableMark,
  'openings-that-are-aborted': openingsThatAreAborted,
  'prepared-segments': preparedSegments,
  'readers-after-a-crash': readersAfterACrash,
  'recycled-behind-a-cut': recycledBehindACut,
  reserve,
  'reset-to': resetTo,
  retention,
  rolls,
  'runs-of-all-kinds': runsOfAllKinds,
  'runs-without-close': runsWithoutClose,
  'salvage-around-damage': salvageAroundDamage,
  'salvage-without-a-checkpoint': salvageWithoutACheckpoint,
  salvage,
  sealing,
  'single-commits': singleCommits,
  'standalone-core-writer': standaloneCoreWriter,
  'truncate-after': truncateAfter,
  'truncate-all': truncateAll,
  'truncate-beside-groups': truncateBesideGroups,
  'truncate-part': truncatePart,
  'wal-appends-and-commits': walAppendsAndCommits,
  'wal-backpressure': walBackpressure,
  'wal-closed-behind-the-background': walClosedBehindTheBackground,
  'wal-group-commit': walGroupCommit,
  'written-again-at-recovery': writtenAgainAtRecovery,
};
