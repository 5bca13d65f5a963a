import { WalError, type WalErrorFacts } from '@walstack/codec';
import { completionFailure } from '../errors/io-failure.js';
import type { IoFile, IoToken, StorageIo, WriteOptions } from '../storage-io.js';
import type { CompletionRouter } from './completion-router.js';
import { type Ended, type IoRoutine, type Outcome, QUEUE_SPACE } from './routine.js';
import { beginStep, endStep } from './steps-under-way.js';

/**
 * The single steps that routines are made of. Each submits, waits while the queue is full, and throws a {@link
 * WalError} for a negative result.
 */

function* succeeded(operation: string, path: string, submit: () => IoToken, facts?: WalErrorFacts): IoRoutine<number> {
  let token = tryToSubmit(submit);
  while (token === undefined) {
    yield QUEUE_SPACE;
    token = tryToSubmit(submit);
  }
  const result = yield token;
  if (result < 0) throw completionFailure(operation, path, result, facts);
  return result;
}

/** @returns `undefined` while the queue is full */
function tryToSubmit(submit: () => IoToken): IoToken | undefined {
  try {
    return submit();
  } catch (error) {
    if (WalError.is(error, 'WAL_QUEUE_FULL')) return undefined;
    throw error;
  }
}

/** Writes all of `data` at `offset`. Durable only with the option `durable`. */
export function* write(
  io: StorageIo,
  file: IoFile,
  data: Uint8Array,
  offset: number,
  options?: WriteOptions,
): IoRoutine<void> {
  const written = yield* succeeded('write', file.path, () => io.submitWrite(file, data, offset, options), { offset });
  if (written !== data.length) throw shortWrite(io, file, data, offset, written);
}

/**
 * The same without a routine, for a write that is the only step: starting and resuming one costs as much as the rest.
 *
 * @param ended - called once with how {@link write} would end: as part of a step, perhaps before this returns
 */
export function startWrite(
  router: CompletionRouter,
  file: IoFile,
  data: Uint8Array,
  offset: number,
  options: WriteOptions | undefined,
  ended: Ended<void>,
): void {
  const { io } = router;
  const completed = (result: number): void => {
    let outcome: Outcome<void> = { value: undefined };
    if (result < 0) outcome = { error: completionFailure('write', file.path, result, { offset }) };
    else if (result !== data.length) outcome = { error: shortWrite(io, file, data, offset, result) };
    asStep(() => ended(outcome));
  };
  const submit = (): void => {
    let token: IoToken | undefined;
    try {
      token = tryToSubmit(() => io.submitWrite(file, data, offset, options));
    } catch (error) {
      asStep(() => ended({ error }));
      return;
    }
    if (token === undefined) router.onQueueSpace(submit);
    else router.expect(token, completed);
  };
  submit();
}

function asStep(step: () => void): void {
  beginStep();
  try {
    step();
  } finally {
    endStep();
  }
}

function shortWrite(io: StorageIo, file: IoFile, data: Uint8Array, offset: number, written: number): WalError {
  return new WalError('WAL_IO_FAILED', `the ${io.name} backend wrote ${written} of ${data.length} bytes`, {
    path: file.path,
    offset,
    operation: 'write',
    reason: 'short-write',
  });
}

/** Reads into `into` from `offset`, and returns the bytes read: fewer only at the end of the file. */
export function* read(io: StorageIo, file: IoFile, into: Uint8Array, offset: number): IoRoutine<number> {
  return yield* succeeded('read', file.path, () => io.submitRead(file, into, offset), { offset });
}

/** Makes durable every write of the file that has completed. */
export function* datasync(io: StorageIo, file: IoFile): IoRoutine<void> {
  yield* succeeded('datasync', file.path, () => io.submitDatasync(file));
}

/** Makes the names in a directory durable. */
export function* syncDirectory(io: StorageIo, path: string): IoRoutine<void> {
  yield* succeeded('sync of the directory', path, () => io.submitSyncDirectory(path));
}

/** Truncates or extends a file. Not durable. */
export function* truncate(io: StorageIo, file: IoFile, bytes: number): IoRoutine<void> {
  yield* succeeded('truncate', file.path, () => io.submitTruncate(file, bytes), { offset: bytes });
}

/** Reserves a range of a file. Not durable. */
export function* allocate(io: StorageIo, file: IoFile, offset: number, bytes: number): IoRoutine<void> {
  yield* succeeded('allocate', file.path, () => io.submitAllocate(file, offset, bytes), { offset });
}

/** Removes a file. Not durable. */
export function* remove(io: StorageIo, path: string): IoRoutine<void> {
  yield* succeeded('remove', path, () => io.submitRemove(path));
}
