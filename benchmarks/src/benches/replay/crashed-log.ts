import { copyFileSync, linkSync, mkdirSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { FileName, parseSegmentFileName } from '@walstack/codec';
import { Wal } from '@walstack/wal';
import { RECORD_BYTES } from '../../payloads/records.js';
import type { Settings } from '../../settings.js';
import { appendingTo } from '../../subjects/walstack.js';
import { appendRange } from '../append/append.js';

/** Appended after the last sync: they were never acknowledged, and the last one is torn. */
const UNSYNCED = 100;

/** A log as a process that died in mid-write leaves it: never closed, and cut off within its last record. */
export class CrashedLog {
  readonly #settings: Settings;
  #image: string | undefined;

  constructor(settings: Settings) {
    this.#settings = settings;
  }

  /** Makes it, when that was not done yet. */
  async make(): Promise<void> {
    if (this.#image !== undefined) return;
    const { scratch } = this.#settings;
    const original = scratch.next('log');
    const image = scratch.next('crashed');
    // Files that end where what was written ends can be cut within the last record; and no mark follows it.
    const wal = await Wal.open(original, { io: 'thread-pool', preallocate: 'none', markAfterMs: 0 });
    const log = appendingTo(wal);
    await appendRange(log, 1, this.#synced, RECORD_BYTES);
    await wal.sync();
    await appendRange(log, this.#synced + 1, this.#synced + UNSYNCED, RECORD_BYTES);
    await wal.flush();
    copyLog(original, image);
    await wal.shutdown();
    scratch.remove(original);
    const last = join(image, lastSegment(image));
    truncateSync(last, statSync(last).size - 1);
    this.#image = image;
  }

  /** A copy that can be opened once, with the records that are whole, and the bytes of its segments. */
  copy(): { path: string; bytes: number; records: number } {
    if (this.#image === undefined) throw new Error('make() comes first');
    const path = this.#settings.scratch.next('crashed');
    copyLog(this.#image, path);
    const segments = readdirSync(path).filter((name) => parseSegmentFileName(name) !== undefined);
    const bytes = segments.reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
    return { path, bytes, records: this.#synced + UNSYNCED - 1 };
  }

  remove(path: string): void {
    this.#settings.scratch.remove(path);
  }

  get #synced(): number {
    return Math.ceil(this.#settings.crashedBytes / RECORD_BYTES);
  }
}

/** Copies the files of a log but its lock. Segments before the last one are never written again: a link will do. */
function copyLog(from: string, to: string): void {
  mkdirSync(to);
  const last = lastSegment(from);
  for (const name of readdirSync(from)) {
    if (name === FileName.lock) continue;
    const sealed = parseSegmentFileName(name) !== undefined && name !== last;
    (sealed ? linkSync : copyFileSync)(join(from, name), join(to, name));
  }
}

function lastSegment(directory: string): string {
  const names = readdirSync(directory).filter((name) => parseSegmentFileName(name) !== undefined);
  const last = names.sort().at(-1);
  if (last === undefined) throw new Error(`there is no segment in ${directory}`);
  return last;
}
