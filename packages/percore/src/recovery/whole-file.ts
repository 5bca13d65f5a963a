import { type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';

/** A larger file is neither a manifest, nor a note or a report of a salvage: only this much of it is read into memory. */
const WHOLE_FILE_BYTES_MAX = 256 * 1024 * 1024;

/** Reads a whole file that is not a segment. Of a file over the limit, the part that is read fails its checksum. */
export function* readWholeFile(io: StorageIo, path: string): IoRoutine<Uint8Array> {
  const file = io.open(path, { readOnly: true });
  try {
    const bytes = new Uint8Array(Math.min(io.size(file), WHOLE_FILE_BYTES_MAX));
    const length = yield* ioSteps.read(io, file, bytes, 0);
    return bytes.subarray(0, length);
  } finally {
    io.close(file);
  }
}
