/** A log that may have work pending when the process ends. */
export interface PendingWorkSource {
  /** A description of what would be lost; `undefined` when nothing is pending. */
  pendingWork(): string | undefined;
}

/** Open logs without a warning so far. */
const watched = new Set<PendingWorkSource>();

/** Emits one warning when the process ends while a log has work pending. */
export function watchExit(log: PendingWorkSource): void {
  if (watched.size === 0) {
    process.on('beforeExit', warnInTime);
    process.on('exit', warnAtTheEnd);
  }
  watched.add(log);
}

/** Stops watching a log that was closed. */
export function unwatchExit(log: PendingWorkSource): void {
  if (!watched.delete(log) || watched.size > 0) return;
  process.off('beforeExit', warnInTime);
  process.off('exit', warnAtTheEnd);
}

function warnInTime(): void {
  warn((message) => process.emitWarning(message, WARNING));
}

/** On `exit` nothing deferred runs any more, and `process.emitWarning` defers: emits the event directly. */
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
    emit(`the process ends with ${work}: await shutdown() of the log first`);
  }
}
