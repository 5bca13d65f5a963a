import type { MessagePort } from 'node:worker_threads';
import { WalError } from '@walstack/codec';
import { invalidType } from '@walstack/codec/internal';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { coreDirectory } from '../core/core-directory.js';
import { CoreLog } from '../core/core-log.js';
import type { CoreWalWriter } from '../core/core-wal-writer.js';
import { SharedEpochs } from '../core/epochs/epochs.js';
import { checkKnown, type LogOptions, logConfigOf, type ModuleReference } from '../options.js';
import { errorToTransfer } from './error-transfer.js';
import { LocalCore } from './local-core.js';
import type { LogContent, Report, Request, WorkerData } from './worker-protocol.js';

export type { Report, WorkerData } from './worker-protocol.js';

/** The argument of the program of a core. */
export interface CoreContext {
  readonly coreId: number;
  /** The writer of this core. The manager closes it. */
  readonly writer: CoreWalWriter;
  /** The `options` of `run` in the manager's configuration. */
  readonly options: unknown;
  /** The other end of the manager's `port(coreId)`. */
  readonly port: MessagePort;
  /** Aborted when the manager is being closed: the program must return then. */
  readonly signal: AbortSignal;
}

/** Appends to the log of one core, in a worker thread. It must let the event loop turn regularly. */
export type CoreProgram = (context: CoreContext) => unknown;

/** Options for the log of a core that are made in its thread, such as its backend, clock and keys. */
export type CoreConfig = LogOptions & Pick<SegmentedWalConfig, 'io'>;

/** Makes these options, in the thread of the core. */
export type ConfigureCore = (coreId: number, options: unknown) => CoreConfig | Promise<CoreConfig>;

/** Serves a request of the manager. */
type Serve = (request: Request) => Promise<void>;

/** Opens the log of a core and starts its program; `undefined` when that failed, after reporting the error. */
export async function serveWorker(data: WorkerData, report: (message: Report) => void): Promise<Serve | undefined> {
  try {
    const program = await load<CoreProgram>('run', data.run);
    const core = new LocalCore(await openCoreLog(data));
    const stopping = new AbortController();
    report({ kind: 'open' });
    const { coreId, port } = data;
    const running = runProgram(
      program,
      { coreId, writer: core.writer, options: data.run.options, port, signal: stopping.signal },
      report,
    );
    const handlers = handlersOf(core, async () => {
      stopping.abort();
      await running;
      port.close();
    });
    return (request) => answer(request, handlers, report);
  } catch (error) {
    report({ kind: 'unopened', error: errorToTransfer(error) });
    return undefined;
  }
}

async function openCoreLog({
  coreId,
  directory,
  config,
  io,
  epochs,
  state,
  content,
  configure,
}: WorkerData): Promise<CoreLog> {
  const made = configure && (await (await load<ConfigureCore>('configure', configure))(coreId, configure.options));
  const own = made && checkKnown('the result of workers.configure', made, ['io']);
  const all = {
    ...logConfigOf({ io, ...config, ...own }),
    coreId,
    directory: coreDirectory(directory, coreId),
    create: false,
  };
  const log = await SegmentedWal.open(all);
  const found = contentOf(log);
  if (found.lastLsn !== content.lastLsn || found.segmentId !== content.segmentId) {
    await log.close().catch(() => {});
    throw new WalError(
      'WAL_STATE',
      `the log of core ${coreId} was changed by another writer before its worker thread opened it: open the per-core log again`,
      { path: log.directory, lsn: found.lastLsn, state: 'changed' },
    );
  }
  const now = all.now === undefined ? {} : { now: all.now };
  return new CoreLog(log, coreId, state, { epochs: SharedEpochs.from(epochs), managed: true, ...now });
}

/** The end of a log's content. Segments without an entry do not count, since opening the log replaces them. */
export function contentOf(log: SegmentedWal): LogContent {
  return { lastLsn: log.lastLsn, segmentId: log.listSegments().findLast(({ lastLsn }) => lastLsn !== undefined)?.id };
}

/** Imports the function that a reference names. Only the module itself determines its type. */
async function load<T>(name: string, { module, export: exported }: Required<ModuleReference>): Promise<T> {
  const namespace: Record<string, unknown> = await import(module);
  const found = namespace[exported];
  if (typeof found !== 'function')
    throw invalidType(name, `an export "${exported}" of ${module} that is a function`, found);
  return found as T;
}

async function runProgram(
  program: CoreProgram,
  context: CoreContext,
  report: (message: Report) => void,
): Promise<void> {
  try {
    report({ kind: 'finished', result: await program(context) });
  } catch (error) {
    report({ kind: 'failed', error: errorToTransfer(error) });
  }
}

type Handlers = { readonly [Name in Request['call']]: (argument: never) => Promise<unknown> };

function handlersOf(core: LocalCore, stop: () => Promise<void>): Handlers {
  return {
    endEpoch: (epoch: number) => core.endEpoch(epoch),
    repeatLastBarrier: (epoch: number) => core.repeatLastBarrier(epoch),
    sync: () => core.sync(),
    place: () => core.place(),
    forgetCommitted: (lsn: number) => core.forgetCommitted(lsn),
    truncateBefore: (lsn: number) => core.truncateBefore(lsn),
    stop,
    close: () => core.close(),
  };
}

async function answer(
  { id, call, argument }: Request,
  handlers: Handlers,
  report: (message: Report) => void,
): Promise<void> {
  try {
    // The manager sends each call with the argument type that the protocol defines for it.
    const result = await handlers[call](argument as never);
    report({ kind: 'answer', id, result: result as Extract<Report, { kind: 'answer' }>['result'] });
  } catch (error) {
    report({ kind: 'refusal', id, error: errorToTransfer(error) });
  }
}

/** The error for a worker thread that has ended by itself. */
export const workerEnded = (coreId: number, cause?: unknown): WalError =>
  new WalError(
    'WAL_STATE',
    `the worker thread of core ${coreId} has ended: open the per-core log again to recover what it made durable`,
    { state: 'worker-ended' },
    cause === undefined ? undefined : { cause },
  );
