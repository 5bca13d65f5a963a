import type { KeyRing } from '@walstack/codec';
import { checkInteger } from '@walstack/codec/internal';
import type { IoRoutine } from '@walstack/storage-io';
import type { AppendGate } from '../../append/append-gate.js';
import type { CallQueues } from '../../call-queues.js';
import { tooLateForRing, withoutKeyRing } from '../../log-errors.js';
import { checkKeyRing } from '../../options.js';
import { encryptionOf, refuseOtherKey, requireKey } from '../../segments/keys.js';
import { isEmpty } from '../../segments/segment.js';
import type { FullDisk } from '../full-disk.js';
import type { SegmentWriter } from '../segment-writer.js';

/** The calls that set the key ring of a log, and rotate its key. */
export class KeyCalls {
  readonly #directory: string;
  readonly #calls: CallQueues;
  readonly #writer: SegmentWriter;
  readonly #gate: AppendGate;
  readonly #fullDisk: FullDisk;

  constructor(directory: string, calls: CallQueues, writer: SegmentWriter, gate: AppendGate, fullDisk: FullDisk) {
    this.#directory = directory;
    this.#calls = calls;
    this.#writer = writer;
    this.#gate = gate;
    this.#fullDisk = fullDisk;
  }

  set(ring: KeyRing): void {
    this.#throwUnlessUnused();
    checkKeyRing('ring', ring);
    const newest = this.#writer.segments.findLast((segment) => !isEmpty(segment))?.header;
    const needed = newest?.encrypted === true ? [ring.currentId, newest.keyId] : [ring.currentId];
    ring.loadSync(needed);
    // Its callback may have appended, or closed the log.
    this.#throwUnlessUnused();
    for (const keyId of needed) requireKey(ring, keyId, 'the log needs it');
    if (newest !== undefined) refuseOtherKey(newest.keyId, ring, this.#writer.keyRing);
    // Setting a ring accepts the plaintext records so far; for a read-only log the segments have to prove their age.
    this.#writer.useKeyRing(ring, this.#calls.isReadonly ? undefined : encryptionOf(this.#writer.segments));
  }

  async rotate(id: number | undefined): Promise<void> {
    const ring = this.#ringToRotate();
    const next = checkedKeyId(id, ring);
    await ring.load([next]);
    requireKey(ring, next, 'rotateKey needs it');
    await this.#calls.run(() => this.#rotating(ring, next));
  }

  rotateSync(id: number | undefined): void {
    const ring = this.#ringToRotate();
    const next = checkedKeyId(id, ring);
    ring.loadSync([next]);
    requireKey(ring, next, 'rotateKey needs it');
    this.#calls.runSync(() => this.#rotating(ring, next));
  }

  *#rotating(ring: KeyRing, keyId: number): IoRoutine<void> {
    ring.use(keyId);
    yield* this.#fullDisk.findRoom();
    yield* this.#writer.reserve.lend(this.#writer.rotate());
  }

  #ringToRotate(): KeyRing {
    this.#gate.throwUnlessWritable();
    const { keyRing } = this.#writer;
    if (keyRing !== undefined) return keyRing;
    throw withoutKeyRing(this.#directory);
  }

  /** @throws when something was appended, and a ring that is set now would come too late for it */
  #throwUnlessUnused(): void {
    this.#calls.throwUnlessOpen();
    this.#calls.throwIfFailed();
    if (this.#writer.counters.records > 0) throw tooLateForRing(this.#directory);
  }
}

function checkedKeyId(id: number | undefined, ring: KeyRing): number {
  return id === undefined ? ring.currentId : checkInteger('id', id, 1, 0xffff_ffff);
}
