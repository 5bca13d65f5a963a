/** The binary's handle of a held lock. */
interface LockHandle {
  readonly kind?: 'lock';
}

/** The binary's handle of a mapping. */
export interface MappingHandle {
  readonly kind?: 'mapping';
}

/** The functions of the binary for mappings. */
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

/** The exports of the binary. It checks its own arguments; its functions are documented where this package exports them. */
export interface Binding {
  /** The version of the interface between the binary and this JavaScript. */
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

  /** `end` is `undefined` when `bytes` is no Uint8Array. */
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
  /** Missing where the build had no io_uring. */
  readonly Ring?: NativeRingConstructor;
}
