import { crc32c } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';

const PIECE_BYTES = 256 * 1024;

/** CRC32C of a range of a file, read in pieces, continuing `seed`; `undefined` when the file ends earlier. */
export function* checksumOf(
  io: StorageIo,
  file: IoFile,
  position: number,
  length: number,
  seed: number,
): IoRoutine<number | undefined> {
  const piece = new Uint8Array(Math.min(length, PIECE_BYTES));
  let crc = seed;
  for (let done = 0; done < length; ) {
    if (isTurnDue()) yield TURN;
    const into = piece.subarray(0, Math.min(piece.length, length - done));
    const bytes = yield* ioSteps.read(io, file, into, position + done);
    if (bytes === 0) return undefined;
    crc = crc32c(into, crc, 0, bytes);
    done += bytes;
  }
  return crc;
}
