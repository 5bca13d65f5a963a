import type { Lsn } from '@walstack/codec';
import type { StoredRecord } from '@walstack/mmap-reader/internal';

/**
 * The records that may be the last one of the stream: the one that was stored last, and those published since. Where the log was cut
 * there are several with one LSN, in segments of their own.
 */
export class PublishedRecords {
  /** In the order of publication. */
  readonly #records = new Map<string, StoredRecord>();

  /** A record is about to be published, maybe again. */
  add(record: StoredRecord): void {
    const key = keyOf(record);
    if (!this.#records.has(key)) this.#records.set(key, record);
  }

  /** The record that has these bytes. */
  find(lsn: Lsn, bytes: Uint8Array): StoredRecord | undefined {
    return [...this.#records.values()].find((each) => each.lsn === lsn && Buffer.compare(each.bytes, bytes) === 0);
  }

  /** A record is the last one of the stream, as far as is known: none before it is any more. */
  stored(record: StoredRecord): void {
    const last = keyOf(record);
    if (!this.#records.has(last)) return;
    for (const key of this.#records.keys()) {
      if (key === last) break;
      this.#records.delete(key);
    }
  }
}

const keyOf = ({ lsn, segment }: StoredRecord): string => `${lsn}:${segment.number}`;
