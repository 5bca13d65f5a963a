import { closeSync, fdatasyncSync, fsyncSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { allocateAligned, type Ring, useDirectIo } from '@walstack/native';
import { BLOCK_BYTES, forEachFrame } from './frames.js';

const MEBIBYTE = 1024 * 1024;
const FIRST_BYTES = 4 * MEBIBYTE;
const FILE_BYTES_MAX = 64 * MEBIBYTE;

/** Zeros that are written at a time: the groups beside them wait for no more than that. */
const PIECE_BYTES = 256 * 1024;

/** The file that comes next, and how far it is. */
interface NextFile {
  readonly fd: number;
  readonly bytes: number;
  zeros: number;
  stage: 'zeros' | 'datasync' | 'name' | 'ready';
}

/**
 * Files that are written with zeros from end to end, and durable with their names, before a group is written to them. The
 * first one is small, each further one twice as long as the one before up to 64 MiB, prepared on the same ring while the one
 * before is filled: twice as fast as that, one piece at a time.
 */
export class PreparedFiles {
  readonly #ring: Ring;
  readonly #slot: number;
  readonly #directory: string;
  readonly #directoryFd: number;
  readonly #zeros = allocateAligned(PIECE_BYTES, BLOCK_BYTES);
  readonly #fds: number[] = [];
  #fd: number;
  #bytes = FIRST_BYTES;
  #position = 0;
  #next: NextFile;
  #isBusy = false;

  /** @param slot - the slot of the ring that the preparation uses */
  constructor(ring: Ring, slot: number, directory: string) {
    this.#ring = ring;
    this.#slot = slot;
    this.#directory = directory;
    mkdirSync(directory);
    this.#fd = this.#create();
    for (let at = 0; at < FIRST_BYTES; at += PIECE_BYTES) writeSync(this.#fd, this.#zeros, 0, PIECE_BYTES, at);
    fdatasyncSync(this.#fd);
    const parent = openSync(dirname(directory), 'r');
    fsyncSync(parent);
    closeSync(parent);
    this.#directoryFd = openSync(directory, 'r');
    fsyncSync(this.#directoryFd);
    this.#next = this.#begun();
  }

  /** The file that is written to. */
  get fd(): number {
    return this.#fd;
  }

  /** Takes a range of the file that is written to. @returns its offset, or -1 when no prepared file has room yet */
  take(bytes: number): number {
    if (this.#position + bytes > this.#bytes && !this.#roll()) return -1;
    const offset = this.#position;
    this.#position += bytes;
    return offset;
  }

  /** Queues the next step of the preparation where one is due. */
  proceed(): void {
    const next = this.#next;
    if (this.#isBusy || next.stage === 'ready') return;
    if (next.stage === 'zeros' && next.zeros * this.#bytes > 2 * this.#position * next.bytes) return;
    this.#isBusy =
      next.stage === 'zeros'
        ? this.#ring.write(this.#slot, next.fd, this.#zeros, next.zeros)
        : next.stage === 'datasync'
          ? this.#ring.datasync(this.#slot, next.fd)
          : this.#ring.sync(this.#slot, this.#directoryFd);
  }

  /** Called with the result of a step. @throws when it failed */
  stepped(result: number): void {
    const next = this.#next;
    const expected = next.stage === 'zeros' ? PIECE_BYTES : 0;
    if (result !== expected) throw new Error(`preparing a file came to ${result} at ${next.stage}`);
    this.#isBusy = false;
    if (next.stage === 'zeros') {
      next.zeros += PIECE_BYTES;
      if (next.zeros === next.bytes) next.stage = 'datasync';
    } else next.stage = next.stage === 'datasync' ? 'name' : 'ready';
  }

  /** After the ring was closed. */
  close(): void {
    for (const fd of this.#fds) closeSync(fd);
    closeSync(this.#directoryFd);
  }

  #roll(): boolean {
    const { stage, fd, bytes } = this.#next;
    if (stage !== 'ready') return false;
    // Groups may still be on their way to the file before: it stays open.
    this.#fd = fd;
    this.#bytes = bytes;
    this.#position = 0;
    this.#next = this.#begun();
    return true;
  }

  #begun(): NextFile {
    return { fd: this.#create(), bytes: Math.min(2 * this.#bytes, FILE_BYTES_MAX), zeros: 0, stage: 'zeros' };
  }

  #create(): number {
    const path = join(this.#directory, String(this.#fds.length).padStart(6, '0'));
    const fd = openSync(path, 'wx');
    this.#fds.push(fd);
    if (!useDirectIo(fd)) throw new Error(`there is no direct I/O at ${path}: measure on a disk (--data)`);
    return fd;
  }
}

/** Reads back what is in such files. */
export function forEachPrepared(directory: string, f: (payload: Uint8Array, lsn: number) => void): void {
  for (const name of readdirSync(directory).sort()) forEachFrame(join(directory, name), f);
}
