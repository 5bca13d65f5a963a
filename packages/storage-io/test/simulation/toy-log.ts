import { crc32c } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { ExplorationFailure, type ProcessRun, type Program } from '@walstack/storage-io/simulation';

/** What can be wrong with a {@link ToyLog}. */
export type Defect =
  | 'acknowledges before the sync'
  | 'never syncs the directory'
  | 'checks no sums'
  | 'syncs again after a sync that failed'
  | 'believes the cache when it opens'
  | 'forgets that a write failed';

const HEADER = 8;

/** A log of short texts in one file: each is its length, its checksum and its bytes. As small as a log gets. */
class ToyLog {
  readonly texts: string[] = [];
  readonly #io: StorageIo;
  readonly #file: IoFile;
  readonly #defect: Defect | undefined;
  #end = 0;

  private constructor(io: StorageIo, defect: Defect | undefined) {
    this.#io = io;
    this.#defect = defect;
    this.#file = io.open('/log', { create: true });
  }

  /** Opens the log: what is found is durable then. */
  static *open(io: StorageIo, defect?: Defect): IoRoutine<ToyLog> {
    const log = new ToyLog(io, defect);
    yield* log.#recover();
    return log;
  }

  /** Appends a text, and makes it durable. */
  *append(text: string): IoRoutine<void> {
    const data = Buffer.from(text);
    const frame = Buffer.alloc(HEADER + data.length);
    frame.writeUInt32LE(data.length, 0);
    frame.writeUInt32LE(crc32c(data), 4);
    data.copy(frame, HEADER);
    try {
      yield* ioSteps.write(this.#io, this.#file, frame, this.#end);
      if (this.#defect !== 'acknowledges before the sync') yield* this.#sync();
    } catch (error) {
      if (this.#defect !== 'forgets that a write failed') throw error;
    }
    this.#end += frame.length;
    this.texts.push(text);
  }

  *#sync(): IoRoutine<void> {
    try {
      yield* ioSteps.datasync(this.#io, this.#file);
    } catch (error) {
      if (this.#defect !== 'syncs again after a sync that failed') throw error;
      yield* ioSteps.datasync(this.#io, this.#file);
    }
  }

  *#recover(): IoRoutine<void> {
    const bytes = Buffer.alloc(this.#io.size(this.#file));
    yield* ioSteps.read(this.#io, this.#file, bytes, 0);
    while (this.#end + HEADER <= bytes.length) {
      const length = bytes.readUInt32LE(this.#end);
      const data = bytes.subarray(this.#end + HEADER, this.#end + HEADER + length);
      if (length === 0 || data.length < length) break;
      if (this.#defect !== 'checks no sums' && crc32c(data) !== bytes.readUInt32LE(this.#end + 4)) break;
      this.texts.push(data.toString());
      this.#end += HEADER + length;
    }
    if (this.#defect !== 'believes the cache when it opens') {
      yield* ioSteps.write(this.#io, this.#file, bytes.subarray(0, this.#end), 0);
    }
    yield* ioSteps.truncate(this.#io, this.#file, this.#end);
    yield* ioSteps.datasync(this.#io, this.#file);
    if (this.#defect !== 'never syncs the directory') yield* ioSteps.syncDirectory(this.#io, '/');
  }
}

/** What a toy log is known to hold. */
export type ToyNote = { readonly tried: string } | { readonly durable: readonly string[] };

/** Opens the log of a run and holds it against the notes: what was durable is there, and what else is there was tried. */
function* openAndCheck(run: ProcessRun<ToyNote>, defect?: Defect): IoRoutine<ToyLog> {
  const log = yield* ToyLog.open(run.io, defect);
  let durable: readonly string[] = [];
  const tried = new Set<string>();
  for (const note of run.notes) {
    if ('durable' in note) durable = note.durable;
    else tried.add(note.tried);
  }
  const kept = log.texts.slice(0, durable.length);
  if (kept.join() !== durable.join()) throw new Error(`lost: ${durable} was durable, ${log.texts} is there`);
  const strange = log.texts.slice(durable.length).find((text) => !tried.has(text));
  if (strange !== undefined) throw new Error(`nobody wrote ${JSON.stringify(strange)}`);
  run.note({ durable: [...log.texts] });
  return log;
}

/** Appends a text and says so. */
function* appendAndNote(run: ProcessRun<ToyNote>, log: ToyLog, text: string): IoRoutine<void> {
  run.note({ tried: text });
  yield* log.append(text);
  run.note({ durable: [...log.texts] });
}

/** Some texts, one of them over several sectors. */
function* firstProcess(run: ProcessRun<ToyNote>, defect?: Defect): IoRoutine<void> {
  const log = yield* openAndCheck(run, defect);
  yield* appendAndNote(run, log, `one ${run.seed}`);
  yield* appendAndNote(run, log, 'two'.repeat(400));
}

function* secondProcess(run: ProcessRun<ToyNote>, defect?: Defect): IoRoutine<void> {
  const log = yield* openAndCheck(run, defect);
  yield* appendAndNote(run, log, `three ${Math.floor(run.random() * 1000)}`);
}

/** Opens, looks, and appends one more. */
function* checkAndGoOn(run: ProcessRun<ToyNote>, defect?: Defect): IoRoutine<void> {
  const log = yield* openAndCheck(run, defect);
  yield* appendAndNote(run, log, `after ${run.notes.length}`);
}

/** Two processes, the second of which begins when the first is killed; and what is done after a crash. */
export const blocking = (defect?: Defect): { scenario: Program<ToyNote>; check: Program<ToyNote> } => ({
  scenario: (run) => {
    runSync(run.io, firstProcess(run, defect));
    runSync(run.restart(), secondProcess(run, defect));
  },
  check: (run) => runSync(run.io, checkAndGoOn(run, defect)),
});

/** The same with promises. */
export const waiting = (defect?: Defect): { scenario: Program<ToyNote>; check: Program<ToyNote> } => ({
  scenario: async (run) => {
    await runAsync(run.io, firstProcess(run, defect));
    await runAsync(run.restart(), secondProcess(run, defect));
  },
  check: (run) => runAsync(run.io, checkAndGoOn(run, defect)),
});

/** What an exploration fails with. */
export async function failureOf(exploration: Promise<unknown>): Promise<ExplorationFailure> {
  try {
    await exploration;
  } catch (error) {
    if (error instanceof ExplorationFailure) return error;
    throw error;
  }
  throw new Error('nothing was found');
}
