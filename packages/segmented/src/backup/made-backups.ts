import { join } from 'node:path';
import { FileName, type Lsn, WalError } from '@walstack/codec';
import { decodeFramedJson, encodeFramedJson } from '@walstack/codec/internal';
import { isNoFile, readWholeFile } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { RoutineQueue, replaceFile } from '@walstack/storage-io/internal';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { withRoom } from '../write/allocation/with-room.js';
import type { SegmentWriter } from '../write/segment-writer.js';
import { isId, objectOf } from './backup-list.js';

/** A backup that was made of a log. */
export interface MadeBackup {
  /** The id in its list of segments. */
  readonly id: string;
  /** The last LSN that all cuts since have left in the log; `null` when there was none. */
  readonly cutLsn: Lsn | null;
}

/** The oldest ones are forgotten: then what the log cut off counts as missing. */
const MADE_MAX = 100;

/** A larger file is not one that this class has written. */
const FILE_BYTES_MAX = 64 * 1024;

/**
 * What a log knows of the backups that were made of it: which records that they have it has cut off itself since. Those go from a
 * backup that is brought up to date. Records that are missing for any other reason, as the log was restored from an older backup
 * or was salvaged, may be nowhere else.
 *
 * Kept in the file `backup.made` of the log, which is in no backup.
 */
export class MadeBackups {
  readonly #environment: Environment;
  readonly #settings: Settings;
  readonly #writer: SegmentWriter;
  readonly #queue: RoutineQueue;
  /** From the oldest to the newest; `undefined` before the file was read. */
  #made: readonly MadeBackup[] | undefined;
  /** The backups that are being made, and the last LSN that all cuts since have left. */
  readonly #begun = new Map<string, Lsn | null>();

  constructor(environment: Environment, settings: Settings, writer: SegmentWriter) {
    this.#environment = environment;
    this.#settings = settings;
    this.#writer = writer;
    this.#queue = new RoutineQueue(environment.io);
  }

  /** A backup of the log as it is now begins. @returns a function that ends it, made or not */
  begin(id: string): () => void {
    this.#begun.set(id, null);
    return () => this.#begun.delete(id);
  }

  /** Notes that a backup is made. Durable on return, unless the disk of the log is full: then it is not known. */
  *add(id: string): IoRoutine<void> {
    const added = (made: readonly MadeBackup[]): readonly MadeBackup[] => {
      const cutLsn = this.#begun.get(id) ?? null;
      return [...made, { id, cutLsn }].slice(-MADE_MAX);
    };
    yield* this.#queue.join(() => this.#change(added, false));
  }

  /**
   * Notes that the log cuts off what is behind an LSN, which is in the backups made until now. Durable on return.
   *
   * @throws `WAL_NO_SPACE` when the disk of the log is full, and nothing that is kept for that makes room
   */
  *cut(lastLsn: Lsn): IoRoutine<void> {
    const lowered = (cutLsn: Lsn | null): Lsn => Math.min(cutLsn ?? lastLsn, lastLsn);
    for (const [id, cutLsn] of this.#begun) this.#begun.set(id, lowered(cutLsn));
    const lower = ({ id, cutLsn }: MadeBackup): MadeBackup => ({ id, cutLsn: lowered(cutLsn) });
    yield* this.#queue.join(() => this.#change((made) => made.map(lower), true));
  }

  /** What is known of a backup; `undefined` when the log did not make it, or has forgotten it. */
  *find(id: string): IoRoutine<MadeBackup | undefined> {
    const made = yield* this.#queue.join(() => this.#read());
    return made.findLast((backup) => backup.id === id);
  }

  *#change(changed: (made: readonly MadeBackup[]) => readonly MadeBackup[], isNeeded: boolean): IoRoutine<void> {
    const before = yield* this.#read();
    const made = changed(before);
    if (JSON.stringify(made) === JSON.stringify(before)) return;
    const { io } = this.#environment;
    const { directory, fileMode } = this.#settings;
    const draft = join(directory, FileName.backupDraft);
    // Read again where this fails: the name may be the one or the other.
    this.#made = undefined;
    const bytes = encodeFramedJson({ version: 1, backups: made });
    const write = (): IoRoutine<void> => replaceFile(io, draft, this.#path, bytes, fileMode);
    try {
      yield* isNeeded ? withRoom(this.#writer, write) : write();
    } catch (error) {
      if (WalError.is(error, 'WAL_NO_SPACE') && !isNeeded) return;
      throw error;
    }
    yield* ioSteps.syncDirectory(io, directory);
    this.#made = made;
  }

  *#read(): IoRoutine<readonly MadeBackup[]> {
    this.#made ??= yield* this.#readFile();
    return this.#made;
  }

  *#readFile(): IoRoutine<readonly MadeBackup[]> {
    const { io } = this.#environment;
    try {
      return decode(yield* readWholeFile(io, this.#path, FILE_BYTES_MAX));
    } catch (error) {
      if (isNoFile(error)) return [];
      throw error;
    }
  }

  get #path(): string {
    return join(this.#settings.directory, FileName.madeBackups);
  }
}

/** A damaged file is as good as none: nothing is known then, and no backup loses anything. */
function decode(bytes: Uint8Array): readonly MadeBackup[] {
  const damaged = (reason: string): WalError =>
    new WalError('WAL_CORRUPT', `${FileName.madeBackups} is damaged`, { reason });
  try {
    const { version, backups } = objectOf(decodeFramedJson(bytes, damaged)) ?? {};
    return version === 1 && Array.isArray(backups) && backups.every(isMade) ? backups : [];
  } catch (error) {
    if (WalError.is(error, 'WAL_CORRUPT')) return [];
    throw error;
  }
}

function isMade(value: unknown): value is MadeBackup {
  const { id, cutLsn } = objectOf(value) ?? {};
  return isId(id) && (cutLsn === null || Number.isSafeInteger(cutLsn));
}
