import type { Scenario } from '../scenario.js';
import { scenario as backups } from './backups/backups.js';
import { scenario as backupsBesideCuts } from './backups/backups-beside-cuts.js';
import { scenario as backupsWithKeys } from './backups/backups-with-keys.js';
import { scenario as coresCheckpoints } from './cores/cores-checkpoints.js';
import { scenario as coresComeAndGo } from './cores/cores-come-and-go.js';
import { scenario as coresComeAndGoCleanly } from './cores/cores-come-and-go-cleanly.js';
import { scenario as coresEpochs } from './cores/cores-epochs.js';
import { scenario as coresKilledInRecovery } from './cores/cores-killed-in-recovery.js';
import { scenario as coresResetAndTruncate } from './cores/cores-reset-and-truncate.js';
import { scenario as coresSubmittedSyncs } from './cores/cores-submitted-syncs.js';
import { scenario as standaloneCoreWriter } from './cores/standalone-core-writer.js';
import { scenario as compressedAndEncrypted } from './encryption/compressed-and-encrypted.js';
import { scenario as encryptionWithRotation } from './encryption/encryption-with-rotation.js';
import { scenario as keysBeforeTheFirstAppend } from './encryption/keys-before-the-first-append.js';
import { scenario as noncesNeverRepeat } from './encryption/nonces-never-repeat.js';
import { scenario as fullDisk } from './full-disk/full-disk.js';
import { scenario as goesOnWithRoom } from './full-disk/goes-on-with-room.js';
import { scenario as groupsInFlightWithoutRoom } from './full-disk/groups-in-flight-without-room.js';
import { scenario as noRoomChangesNothing } from './full-disk/no-room-changes-nothing.js';
import { scenario as reserve } from './full-disk/reserve.js';
import { scenario as batches } from './groups/batches.js';
import { scenario as blocksInFlightApart } from './groups/blocks-in-flight-apart.js';
import { scenario as blocksOfManySectors } from './groups/blocks-of-many-sectors.js';
import { scenario as callsInAnyOrder } from './groups/calls-in-any-order.js';
import { scenario as closedBehindTheBackground } from './groups/closed-behind-the-background.js';
import { scenario as contiguousDurablePrefix } from './groups/contiguous-durable-prefix.js';
import { scenario as durableAtBatchEnds } from './groups/durable-at-batch-ends.js';
import { scenario as failuresBesideOtherWork } from './groups/failures-beside-other-work.js';
import { scenario as flushes } from './groups/flushes.js';
import { scenario as framesAtBlockEnds } from './groups/frames-at-block-ends.js';
import { scenario as groups } from './groups/groups.js';
import { scenario as largeGroups } from './groups/large-groups.js';
import { scenario as singleCommits } from './groups/single-commits.js';
import { scenario as closes } from './marks/closes.js';
import { scenario as goesOnBehindClose } from './marks/goes-on-behind-close.js';
import { scenario as markOnlyWhenAllDurable } from './marks/mark-only-when-all-durable.js';
import { scenario as markWhenClosed } from './marks/mark-when-closed.js';
import { scenario as markWhenIdle } from './marks/mark-when-idle.js';
import { scenario as markWhenRecovered } from './marks/mark-when-recovered.js';
import { scenario as nothingBehindAnUndurableMark } from './marks/nothing-behind-an-undurable-mark.js';
import { scenario as holesBehindZeros } from './recovery/holes-behind-zeros.js';
import { scenario as lateWritesOfTheKilled } from './recovery/late-writes-of-the-killed.js';
import { scenario as openingsThatAreAborted } from './recovery/openings-that-are-aborted.js';
import { scenario as readersAfterACrash } from './recovery/readers-after-a-crash.js';
import { scenario as runsOfAllKinds } from './recovery/runs-of-all-kinds.js';
import { scenario as runsWithoutClose } from './recovery/runs-without-close.js';
import { scenario as writtenAgainAtRecovery } from './recovery/written-again-at-recovery.js';
import { scenario as directoriesMadeDurable } from './rolls/directories-made-durable.js';
import { scenario as freedNameDurableBeforeOverwritten } from './rolls/freed-name-durable-before-overwritten.js';
import { scenario as freshIdForEveryReuse } from './rolls/fresh-id-for-every-reuse.js';
import { scenario as growingSegments } from './rolls/growing-segments.js';
import { scenario as headerBeforeAnythingElse } from './rolls/header-before-anything-else.js';
import { scenario as leftoversAfterTheNames } from './rolls/leftovers-after-the-names.js';
import { scenario as nameBeforeAcknowledgement } from './rolls/name-before-acknowledgement.js';
import { scenario as namesBesideEachOther } from './rolls/names-beside-each-other.js';
import { scenario as preparedSegments } from './rolls/prepared-segments.js';
import { scenario as rolls } from './rolls/rolls.js';
import { scenario as sealing } from './rolls/sealing.js';
import { scenario as salvage } from './salvage/salvage.js';
import { scenario as salvageAroundDamage } from './salvage/salvage-around-damage.js';
import { scenario as salvageWithoutACheckpoint } from './salvage/salvage-without-a-checkpoint.js';
import { scenario as checkpointBeforeRemoval } from './truncation/checkpoint-before-removal.js';
import { scenario as checkpointBehindTheFirstName } from './truncation/checkpoint-behind-the-first-name.js';
import { scenario as checkpointLoweredFirst } from './truncation/checkpoint-lowered-first.js';
import { scenario as holds } from './truncation/holds.js';
import { scenario as lateWritesBehindACut } from './truncation/late-writes-behind-a-cut.js';
import { scenario as recycledBehindACut } from './truncation/recycled-behind-a-cut.js';
import { scenario as resetTo } from './truncation/reset-to.js';
import { scenario as retention } from './truncation/retention.js';
import { scenario as truncateAfter } from './truncation/truncate-after.js';
import { scenario as truncateAll } from './truncation/truncate-all.js';
import { scenario as truncateBesideGroups } from './truncation/truncate-beside-groups.js';
import { scenario as truncatePart } from './truncation/truncate-part.js';
import { scenario as followers } from './wal/followers.js';
import { scenario as walAppendsAndCommits } from './wal/wal-appends-and-commits.js';
import { scenario as walBackpressure } from './wal/wal-backpressure.js';
import { scenario as walClosedBehindTheBackground } from './wal/wal-closed-behind-the-background.js';
import { scenario as walGroupCommit } from './wal/wal-group-commit.js';

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
