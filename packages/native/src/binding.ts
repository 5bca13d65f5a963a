/** A lock that is held, as the binary knows it. */
interface LockHandle {
  readonly kind?: 'lock';
}

/** A mapping, as the binary knows it. */
export interface MappingHandle {
  readonly kind?: 'mapping';
}

/** What the binary does with mappings. */
export interface MappingFunctions {
  /** Puts the memory into `out.buffer`, and into `out.broken` a byte that becomes 1 when a page of it could not be read. */
  map(fd: number, offset: number, length: number, out: { buffer?: ArrayBuffer; broken?: ArrayBuffer }): MappingHandle;
  advise(handle: MappingHandle, offset: number, length: number, advice: number): void;
  checkNotCut(handle: MappingHandle, offset: number, length: number): void;
  load(handle: MappingHandle, offset: number, length: number): void;
  residentBytes(handle: MappingHandle, offset: number, length: number): number;
  release(handle: MappingHandle, offset: number, length: number): void;
  unmap(handle: MappingHandle, buffer: ArrayBuffer): void;
}

import type { NativeRingConstructor } from './ring-binding.js';

/** What the binary exports. It checks its own arguments; what it gives out is documented where it is exported. */
export interface Binding {
  /** Says whether the binary is the one that this JavaScript was written for. */
  readonly bindingVersion: number;

  alignedOffset(buffer: ArrayBuffer, alignment: number): number;

  /** Missing where the platform has no direct I/O. */
  directIoAlignment?(fd: number, out: Uint32Array): boolean;
  useDirectIo?(fd: number): boolean;

  /** Missing where the platform has no locks that belong to an open file. */
  lockFile?(fd: number, exclusive: boolean): boolean;
  unlockFile?(fd: number): void;
  holdLock?(fd: number, exclusive: boolean): LockHandle | undefined;
  releaseLock?(handle: LockHandle): void;

  /** Missing where the platform has no `mmap`. */
  readonly mapping?: MappingFunctions;

  /** What is no Uint8Array has no `end`. */
  crc32c(bytes: Uint8Array, seed: number, start: number, end: number | undefined): number;
  sealFrames(bytes: Uint8Array, start: number, end: number, position: number, blockBytes: number, seed: number): number;
  scanFrames(
    bytes: Uint8Array,
    start: number,
    end: number,
    position: number,
    blockBytes: number,
    seed: number,
    offsets: Uint32Array,
  ): number;
  findDurabilityProof(
    bytes: Uint8Array,
    start: number,
    end: number,
    bytesLeft: number,
    lsn: number,
    lastLsn: number,
  ): number;
  /** Missing where there was no io_uring to build for. */
  readonly Ring?: NativeRingConstructor;
}
