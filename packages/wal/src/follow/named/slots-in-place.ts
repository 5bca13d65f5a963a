import { WalError } from '@walstack/codec';
import {
  BEGUN_NUMBER,
  decodeFollowerSlots,
  encodeFollowerSlot,
  FOLLOWER_FILE_BYTES,
  FOLLOWER_SLOT_BYTES,
  type FollowerSlot,
  type NewFollowerFile,
  type NumberedSlot,
} from '@walstack/codec/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';

/** What the file of a follower has when it was made. */
export interface Written {
  /** The number of the last write. */
  readonly number: number;
  /** The index of the slot that has what was stored before. */
  readonly beforeAt: number;
}

/** The file of a follower, and what its errors name. */
interface SlotNames {
  readonly path: string;
  readonly name: string;
}

/** So often it is written again when a write of a killed process has landed behind ours. */
const ATTEMPTS = 8;

/** Writes a slot. Durable on return. */
export function* writeSlot(
  io: StorageIo,
  file: IoFile,
  slot: FollowerSlot,
  number: number,
  index: number,
): IoRoutine<void> {
  yield* ioSteps.write(io, file, encodeFollowerSlot(slot, number), index * FOLLOWER_SLOT_BYTES);
  yield* ioSteps.datasync(io, file);
}

/**
 * Begins in the file that a process before has left, where there is no room for a new one: what was stored before keeps its slot, and
 * what is begun with gets the other one. Durable on return.
 *
 * @throws `WAL_IO_FAILED` when something else writes to the file again and again
 */
export function* beginInPlace(
  io: StorageIo,
  file: IoFile,
  names: SlotNames,
  { older, newer }: NewFollowerFile,
): IoRoutine<Written> {
  // A write of the process before may not be durable yet.
  yield* ioSteps.datasync(io, file);
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const found = yield* readSlots(io, file, names);
    let beforeAt = found.findIndex((each) => isSlot(each, older) && each.number !== BEGUN_NUMBER);
    if (beforeAt === -1) {
      const begunAt = found.findIndex((each) => isSlot(each, older));
      beforeAt = begunAt === -1 ? 0 : 1 - begunAt;
      yield* writeSlot(io, file, older, BEGUN_NUMBER + 1, beforeAt);
    }
    yield* writeSlot(io, file, newer, BEGUN_NUMBER, 1 - beforeAt);
    const written = yield* readSlots(io, file, names);
    const [before, begun] = [written[beforeAt], written[1 - beforeAt]];
    if (isSlot(before, older) && isSlot(begun, newer))
      return { number: Math.max(before.number, BEGUN_NUMBER), beforeAt };
  }
  const what = `${names.path} is written by something else, which has not locked the name of the follower`;
  throw new WalError('WAL_IO_FAILED', what, { path: names.path, reason: 'written-by-others' });
}

type FoundSlot = NumberedSlot | WalError;

function* readSlots(io: StorageIo, file: IoFile, { path, name }: SlotNames): IoRoutine<readonly FoundSlot[]> {
  const bytes = new Uint8Array(FOLLOWER_FILE_BYTES);
  const length = yield* ioSteps.read(io, file, bytes, 0);
  return decodeFollowerSlots(bytes.subarray(0, length), path, name);
}

function isSlot(found: FoundSlot | undefined, slot: FollowerSlot): found is NumberedSlot {
  if (found === undefined || WalError.is(found)) return false;
  const [one, other] = [found.slot, slot].map((each) => encodeFollowerSlot(each, found.number));
  return Buffer.compare(one as Uint8Array, other as Uint8Array) === 0;
}
