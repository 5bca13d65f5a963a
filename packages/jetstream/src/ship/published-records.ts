import type { Lsn } from '@walstack/codec';
import type { StoredRecord } from '@walstack/mmap-reader/internal';

/**
 * The records that may be the last one of the stream: the one that was stored last, and those published since. Where the log was cut
 * there are several with one LSN.
 */
export class PublishedRecords {
  readonly #records = new Map<Lsn, StoredRecord[]>();

  /** A record is about to be published. */
  add(record: StoredRecord): void {
    const { lsn, bytes } = record;
    const known = this.#records.get(lsn);
    if (known === undefined) this.#records.set(lsn, [record]);
    else if (this.find(lsn, bytes) === undefined) known.push(record);
  }

  /** The record that has these bytes. */
  find(lsn: Lsn, bytes: Uint8Array): StoredRecord | undefined {
    return this.#records.get(lsn)?.find((each) => Buffer.compare(each.bytes, bytes) === 0);
  }

  /** A record is the last one of the stream, as far as is known. */
  stored({ lsn }: StoredRecord): void {
    // In the order of publication, which is that of the LSNs but for cuts.
    for (const each of this.#records.keys()) {
      if (each >= lsn) break;
      this.#records.delete(each);
    }
  }
}
