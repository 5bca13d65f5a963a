import { Ring, RingFlag } from '@walstack/native';
import { BLOCK_BYTES, FrameBuffer } from './frames.js';
import { PreparedFiles } from './prepared-files.js';

/** As `Wal` has them: groups in flight, records that a further group needs, and those with which it begins at once. */
const IN_FLIGHT_MAX = 16;
const CONCURRENT_GROUP_RECORDS_MIN = 16;
const IMMEDIATE_GROUP_RECORDS_MIN = 256;

/** A frame of 100 bytes, and what may be left at the end of a block. */
const FRAME_BYTES_MAX = 136;

type Resolve = (lsn: number | Promise<never>) => void;

/** The records of one write, and the commits that wait for them. */
class Group {
  readonly frames: FrameBuffer;
  readonly waiting: Resolve[] = [];
  firstLsn = 1;
  isWritten = false;

  constructor(
    readonly slot: number,
    committers: number,
  ) {
    this.frames = new FrameBuffer(committers * FRAME_BYTES_MAX);
  }
}

/**
 * The least JavaScript on a bare ring that serves so many committers in the groups that `Wal` makes, with the same promises:
 * each commit resolves with its LSN when its record and all before it are on stable storage. Records have the frames and
 * checksums of a log, groups fill blocks, and several durable writes are in flight. There is nothing else: no other lengths,
 * no limits of memory, no recovery, no options.
 */
export class RingLoop {
  readonly #ring = new Ring({ entries: 64, slots: IN_FLIGHT_MAX + 2 });
  readonly #files: PreparedFiles;
  readonly #groups: readonly Group[];
  readonly #free: Group[];
  readonly #underWay: Group[] = [];
  readonly #slots = new Int32Array(IN_FLIGHT_MAX + 2);
  readonly #results = new Int32Array(IN_FLIGHT_MAX + 2);
  #gathering: Group;
  #lastLsn = 0;
  #scheduled = false;
  #failure: Promise<never> | undefined;

  /** @param committers - calls of {@link commit} that wait at a time, at most */
  constructor(directory: string, committers: number) {
    this.#groups = Array.from({ length: IN_FLIGHT_MAX + 1 }, (_, slot) => new Group(slot, committers));
    this.#free = [...this.#groups];
    this.#gathering = this.#free.pop() as Group;
    this.#files = new PreparedFiles(this.#ring, IN_FLIGHT_MAX + 1, directory);
    this.#ring.onReady(this.#onReady);
  }

  /** Resolves with the LSN of the record when it is on stable storage. */
  commit(payload: Uint8Array): Promise<number> {
    if (this.#failure !== undefined) return this.#failure;
    if (!this.#gathering.frames.add(payload, ++this.#lastLsn)) throw new Error('more commits wait than were announced');
    const durable = new Promise<number>(this.#wait);
    this.#start();
    return durable;
  }

  /** Ends it. No commit may wait. */
  close(): void {
    this.#ring.close();
    this.#files.close();
  }

  readonly #wait = (resolve: Resolve): void => {
    this.#gathering.waiting.push(resolve);
  };

  #start(): void {
    const records = this.#gathering.waiting.length;
    if (this.#scheduled) {
      if (records >= IMMEDIATE_GROUP_RECORDS_MIN && this.#needsGroup(records)) this.#beginGroup();
      return;
    }
    if (!this.#needsGroup(records)) return;
    this.#scheduled = true;
    setImmediate(this.#turnEnded);
  }

  readonly #turnEnded = (): void => {
    this.#scheduled = false;
    if (this.#needsGroup(this.#gathering.waiting.length)) this.#beginGroup();
  };

  #needsGroup(records: number): boolean {
    const underWay = this.#underWay.length;
    if (underWay === 0) return records > 0;
    return underWay < IN_FLIGHT_MAX && records >= CONCURRENT_GROUP_RECORDS_MIN;
  }

  #beginGroup(): void {
    const group = this.#gathering;
    const bytes = Math.ceil(group.frames.end / BLOCK_BYTES) * BLOCK_BYTES;
    const offset = this.#files.take(bytes);
    // Without a prepared file the group waits; when there is one, it is begun from there.
    if (offset >= 0) {
      this.#ring.write(group.slot, this.#files.fd, group.frames.sealed(), offset, RingFlag.durable);
      this.#underWay.push(group);
      this.#gathering = this.#free.pop() as Group;
      this.#gathering.firstLsn = this.#lastLsn + 1;
    }
    this.#submit();
  }

  #submit(): void {
    this.#files.proceed();
    if (this.#ring.queued > 0) this.#ring.submit();
  }

  readonly #onReady = (): void => {
    try {
      this.#reap();
    } catch (error) {
      this.#fail(error);
      return;
    }
    while (this.#underWay[0]?.isWritten === true) this.#resolve(this.#underWay.shift() as Group);
    this.#submit();
    this.#start();
  };

  #reap(): void {
    const count = this.#ring.reap(this.#slots, this.#results);
    for (let index = 0; index < count; index++) {
      const result = this.#results[index] as number;
      const group = this.#groups[this.#slots[index] as number];
      if (group === undefined) this.#files.stepped(result);
      else if (result >= group.frames.end) group.isWritten = true;
      else throw new Error(`a durable write of ${group.frames.end} bytes came to ${result}`);
    }
  }

  #resolve(group: Group): void {
    const { waiting, firstLsn } = group;
    for (let index = 0; index < waiting.length; index++) (waiting[index] as Resolve)(firstLsn + index);
    this.#recycle(group);
  }

  #recycle(group: Group): void {
    group.waiting.length = 0;
    group.frames.clear();
    group.isWritten = false;
    this.#free.push(group);
  }

  #fail(error: unknown): void {
    const failure = Promise.reject(error);
    this.#failure = failure;
    for (const group of [...this.#underWay, this.#gathering]) for (const resolve of group.waiting) resolve(failure);
  }
}
