import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type DiskEvent, encodeEvent, SECTOR_BYTES } from './events.js';

/** Where a record keeps its events and the bytes that were written. */
export const eventsPathOf = (folder: string): string => join(folder, 'events');
export const bytesPathOf = (folder: string): string => join(folder, 'bytes');

const LINES_AT_ONCE = 1000;

/** Puts everything that happens into one order, in files. */
export class Recorder {
  readonly #events: number;
  readonly #bytes: number;
  #lines: string[] = [];
  #offset = 0;
  #ids = 0;
  #count = 0;

  /** @param folder - that exists; a record that it holds is replaced */
  constructor(folder: string) {
    this.#events = openSync(eventsPathOf(folder), 'w');
    this.#bytes = openSync(bytesPathOf(folder), 'w');
  }

  /** How much has happened. */
  get count(): number {
    return this.#count;
  }

  /** How many bytes were written. */
  get bytesWritten(): number {
    return this.#offset;
  }

  /** @returns the number of the write */
  write(sector: number, bytes: Buffer, fua: boolean): number {
    const id = this.#ids++;
    writeSync(this.#bytes, bytes, 0, bytes.length, this.#offset);
    const sectors = bytes.length / SECTOR_BYTES;
    this.#note({ what: 'write', id, sector, sectors, fua, offset: this.#offset });
    this.#offset += bytes.length;
    return id;
  }

  /** @returns the number of the flush */
  flush(): number {
    const id = this.#ids++;
    this.#note({ what: 'flush', id });
    return id;
  }

  /** What has this number is done. */
  done(id: number): void {
    this.#note({ what: 'done', id });
  }

  report(log: number, line: string): void {
    this.#note({ what: 'report', log, line });
  }

  close(): void {
    this.#save();
    closeSync(this.#events);
    closeSync(this.#bytes);
  }

  #note(event: DiskEvent): void {
    this.#count++;
    this.#lines.push(encodeEvent(event));
    if (this.#lines.length >= LINES_AT_ONCE) this.#save();
  }

  #save(): void {
    if (this.#lines.length > 0) writeSync(this.#events, `${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }
}
