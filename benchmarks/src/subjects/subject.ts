/**
 * One way of keeping numbered records, which every bench can use. It numbers the records it is given from 1 upwards, and
 * copies a payload before the call returns.
 */
export interface Subject {
  /** Such as `walstack/thread-pool`; stable. */
  readonly name: string;
  /** Version and settings, which say what was measured. */
  readonly how: string;
  /** Opens something new at `path` for records that are not waited for; `bytes` is about what it will hold. */
  appending(path: string, bytes: number): Promise<AppendingLog>;
  /** Opens something new at `path` for records that are waited for until they are on stable storage. */
  committing(path: string): Promise<CommittingLog>;
  /** The same for a thread that is blocked meanwhile; `undefined` where that cannot be done. */
  readonly blocking: ((path: string) => BlockingLog) | undefined;
  /**
   * Opens what is at `path` to read it.
   *
   * @param payloadBytes - how long each record is
   * @param handsOut - payloads that stay as they are, or such that are valid until `f` returns where that costs less
   */
  reading(path: string, payloadBytes: number, handsOut?: HandsOut): Promise<ReadingLog>;
}

/** What a reader hands out. Default `'views'`. */
export type HandsOut = 'views' | 'copies';

export interface AppendingLog {
  /** Appends the records `from` to `to`, as many as there is room for. @returns the first one that was not taken */
  take(record: NumberedPayload, from: number, to: number): number | Promise<number>;
  /** Waits for room. */
  ready(): Promise<void>;
  /** Waits until everything is with the operating system. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Where the payloads of appended records come from; the bytes are written over by the next call. */
interface NumberedPayload {
  numbered(number: number): Uint8Array;
}

export interface CommittingLog {
  /** Resolves when the record is on stable storage. */
  commit(payload: Uint8Array): Promise<unknown>;
  close(): Promise<void>;
}

export interface BlockingLog {
  /** The record is on stable storage on return. */
  commit(payload: Uint8Array): void;
  /** The records `from` to `to` are on stable storage on return, by one sync or transaction. */
  commitBatch(record: NumberedPayload, from: number, to: number): void;
  close(): void | Promise<void>;
}

interface ReadingLog {
  /** Hands out every payload, in order, with the number that it is kept under. */
  forEach(f: (payload: Uint8Array, number: number) => void): Promise<void>;
  close(): Promise<void>;
}
