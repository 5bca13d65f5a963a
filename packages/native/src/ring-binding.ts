/** The ring of the addon. It works with numbers only: objects are kept in JavaScript. */
export interface NativeRing {
  /** Called on the event loop when something can be reaped. */
  onReady?: () => void;
  readonly canTruncate: boolean;
  readonly fd: number;
  readonly setupFlags: number;
  readonly completionEntries: number;
  write(slot: number, fd: number, data: Uint8Array, offset: number, flags: number, place: number): boolean;
  read(slot: number, fd: number, into: Uint8Array, offset: number, flags: number, place: number): boolean;
  sync(slot: number, fd: number, dataOnly: boolean, flags: number): boolean;
  allocate(slot: number, fd: number, offset: number, bytes: number, flags: number): boolean;
  truncate(slot: number, fd: number, bytes: number, flags: number): boolean;
  remove(slot: number, path: Uint8Array, flags: number): boolean;
  cancel(slot: number): boolean;
  submit(): number;
  wait(minimum: number, timeoutMs: number): number;
  reap(slots: Int32Array, results: Int32Array): number;
  setBuffer(place: number, data: Uint8Array): void;
  room(): number;
  counters(out: Float64Array): void;
  close(): void;
}

/** @throws `Error` with the `code` of the system's error, and in `syscall` what failed or is missing */
export type NativeRingConstructor = new (
  entries: number,
  completionEntries: number,
  slots: number,
  kernelPollingIdleMs: number,
  taskWork: number,
  registeredBuffers: number,
) => NativeRing;
