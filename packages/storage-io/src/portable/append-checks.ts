import { isUint8Array } from 'node:util/types';
import { FRAME_HEADER_BYTES, WalError } from '@walstack/codec';
import { checkText, invalidType, outOfRange } from '@walstack/codec/internal';
import { checkAlignment } from '../engine/arguments.js';
import type { IoFile } from '../storage-io.js';
import type { AppendBuffer } from './append-buffer.js';
import { longestFrame } from './file-tail.js';
import { GIBIBYTE, type WriterSettings } from './writer-options.js';

const encoder = new TextEncoder();

/** The bytes of an append; a string is encoded as UTF-8. @throws `TypeError` */
export function bytesOf(data: Uint8Array | string): Uint8Array {
  if (typeof data === 'string') return encoder.encode(checkText('data', data));
  if (!isUint8Array(data)) throw invalidType('data', 'a Uint8Array or a string', data);
  return data;
}

/**
 * Checks that so many bytes can be appended now, as a frame or as they are.
 *
 * @throws `WAL_STATE`, `WAL_TOO_LARGE`, `WAL_ALIGNMENT`, `WAL_BACKPRESSURE`, `RangeError`
 */
export function checkAppend(
  settings: WriterSettings,
  file: IoFile,
  buffer: AppendBuffer,
  dataBytes: number,
  asFrame: boolean,
): void {
  const { framed, bounded, maxPendingBytes, maxUnsyncedBytes, blockBytes } = settings;
  if (framed && !asFrame) throw framesOnly(file.path);
  if (asFrame && dataBytes === 0) throw outOfRange('data.length', 'at least 1', dataBytes);
  const unframed = bounded ? maxUnsyncedBytes : GIBIBYTE;
  const limit = framed ? longestFrame(maxUnsyncedBytes, blockBytes) : unframed;
  const bytes = asFrame ? FRAME_HEADER_BYTES + dataBytes : dataBytes;
  if (bytes > limit) throw tooLarge(file.path, bytes, limit);
  if (!framed) checkAlignment(file, bytes, buffer.position);
  const pending = buffer.pendingBytes;
  if (pending > 0 && pending + bytes > maxPendingBytes) throw backpressure(pending, bytes, maxPendingBytes);
}

function framesOnly(path: string): WalError {
  return new WalError(
    'WAL_STATE',
    `${path} was opened as a file of frames: append with appendWithChecksum, or open it without framed`,
    { path, state: 'framed' },
  );
}

function tooLarge(path: string, actual: number, limit: number): WalError {
  return new WalError(
    'WAL_TOO_LARGE',
    `an append of ${actual} bytes is over the limit of ${limit}: nothing was appended; in a file of frames ` +
      'maxUnsyncedBytes sets the limit',
    { path, actual, limit },
  );
}

function backpressure(pending: number, bytes: number, limit: number): WalError {
  return new WalError(
    'WAL_BACKPRESSURE',
    `${pending} bytes are pending and maxPendingBytes is ${limit}: nothing was appended; wait for earlier appends first`,
    { limit, actual: pending + bytes },
  );
}
