/** A log that may have work pending when the process ends. */
export interface Unfinished {
  /** What would be lost, in words; `undefined` when nothing is pending. */
  pendingWork(): string | undefined;
}

/** Logs that are open and were not warned of. */
const watched = new Set<Unfinished>();

/** Warns of a log, once, when the process ends while something in it is pending. */
export function watchExit(log: Unfinished): void {
  if (watched.size === 0) {
    process.on('beforeExit', warnInTime);
    process.on('exit', warnAtTheEnd);
  }
  watched.add(log);
}

/** Forgets a log, which was closed. */
export function unwatchExit(log: Unfinished): void {
  if (!watched.delete(log) || watched.size > 0) return;
  process.off('beforeExit', warnInTime);
  process.off('exit', warnAtTheEnd);
}

function warnInTime(): void {
  warn((message) => process.emitWarning(message, WARNING));
}

/** Nothing that is put off happens any more, and `process.emitWarning` puts off. */
function warnAtTheEnd(): void {
  warn((message) =>
    process.emit('warning', Object.assign(new Error(message), { name: WARNING.type, code: WARNING.code })),
  );
}

const WARNING = { type: 'WalWarning', code: 'WAL_EXIT_PENDING' };

function warn(emit: (message: string) => void): void {
  for (const log of [...watched]) {
    const work = log.pendingWork();
    if (work === undefined) continue;
    unwatchExit(log);
    emit(`the process ends with ${work}: await shutdown() of the log before`);
  }
}
