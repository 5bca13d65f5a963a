import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import { FsAppend } from './fs-append.js';
import { FsGroupCommit } from './fs-group-commit.js';
import type { HandsOut, Subject } from './subject.js';

/** The yardstick: payloads one behind the other in one growing file, with `node:fs` alone. */
export const fileSystem: Subject = {
  name: 'fs',
  how:
    'node:fs alone, payloads one behind the other in one growing file: no checksums, no LSNs, no segments, no recovery. ' +
    'append: two buffers of 1 MiB, one being filled, one written. durable: all commits that wait share one write and one ' +
    'fdatasync, while the next group gathers in a second buffer; sync: writeSync and fdatasyncSync, and in batches one of ' +
    'each for the whole batch. replay: readSync of ' +
    '1 MiB at a time, and a view of each payload',
  appending: async (path) => {
    const fd = openSync(path, 'wx');
    const file = new FsAppend(fd);
    return {
      take: (record, from, to) => {
        let number = from;
        while (number <= to && file.append(record.numbered(number))) number++;
        return number;
      },
      ready: () => file.ready(),
      flush: () => file.flush(),
      close: async () => closeSync(fd),
    };
  },
  committing: async (path) => {
    const fd = openSync(path, 'wx');
    const log = new FsGroupCommit(fd);
    return { commit: (payload) => log.commit(payload), close: async () => closeSync(fd) };
  },
  blocking: (path) => {
    const fd = openSync(path, 'wx');
    let position = 0;
    let batch = new Uint8Array(0);
    return {
      commit: (payload) => {
        position += writeSync(fd, payload, 0, payload.length, position);
        fdatasyncSync(fd);
      },
      commitBatch: (record, from, to) => {
        let length = 0;
        for (let number = from; number <= to; number++) {
          const payload = record.numbered(number);
          const room = (to - from + 1) * payload.length;
          if (batch.length < room) batch = new Uint8Array(room);
          batch.set(payload, length);
          length += payload.length;
        }
        position += writeSync(fd, batch, 0, length, position);
        fdatasyncSync(fd);
      },
      close: () => closeSync(fd),
    };
  },
  reading: async (path, payloadBytes, handsOut = 'views') => {
    const fd = openSync(path, 'r');
    return {
      forEach: async (f) => forEachRecord(fd, payloadBytes, handsOut, f),
      close: async () => closeSync(fd),
    };
  },
};

/** Hands out the records of a file, read in pieces of about a mebibyte. */
function forEachRecord(
  fd: number,
  bytes: number,
  handsOut: HandsOut,
  f: (payload: Uint8Array, number: number) => void,
): void {
  const piece = new Uint8Array(Math.max(1, Math.floor(2 ** 20 / bytes)) * bytes);
  const { size } = fstatSync(fd);
  let number = 0;
  for (let position = 0; position < size; position += piece.length) {
    const length = readSync(fd, piece, 0, piece.length, position);
    for (let at = 0; at < length; at += bytes) {
      const payloadBytes = Math.min(bytes, length - at);
      const isView = handsOut === 'views';
      f(isView ? new Uint8Array(piece.buffer, at, payloadBytes) : piece.slice(at, at + payloadBytes), ++number);
    }
  }
}
