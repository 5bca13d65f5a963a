import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import type { CoreContext, CoreWalWriter } from '@walstack/percore';
import { WalError } from '@walstack/wal';
import { NumberedRecord, RECORD_BYTES } from '../../payloads/records.js';

/** What a writer is to do: append so many entries, or commit one by one for so long. */
export type CoreWork =
  | { readonly kind: 'append'; readonly entries: number }
  | { readonly kind: 'commit'; readonly durationMs: number; readonly blocks: boolean };

/** What it came to. */
export interface CoreAnswer {
  readonly entries: number;
  /** Of single commits, in microseconds. */
  readonly latenciesUs: Float64Array;
  /** Processor time of the thread, in milliseconds; `undefined` where the system does not tell. */
  readonly processorMs: number | undefined;
}

type Done = Omit<CoreAnswer, 'processorMs'>;

/** Bytes of an entry's key, of those that key and value have together. */
const KEY = new Uint8Array(8).fill(0x6b);

/** Entries of one turn of the event loop. */
const BURST = 1000;

/** Runs in the worker thread of each core: does what the messages ask for, as often as they ask. */
export async function work({ writer, port, signal }: CoreContext): Promise<void> {
  const stopped = once(signal, 'abort');
  port.on('message', (task: CoreWork) => {
    const before = processorMs();
    const done = task.kind === 'append' ? append(writer, task.entries) : commit(writer, task.durationMs, task.blocks);
    void done.then((result) => {
      const after = processorMs();
      const spent = before === undefined || after === undefined ? undefined : after - before;
      const answer: CoreAnswer = { ...result, processorMs: spent };
      port.postMessage(answer, [answer.latenciesUs.buffer as ArrayBuffer]);
    });
  });
  await stopped;
}

/** Processor time of this thread, in milliseconds: the first number of Linux's `schedstat`, which is in nanoseconds. */
function processorMs(): number | undefined {
  try {
    return Number.parseInt(readFileSync('/proc/thread-self/schedstat', 'latin1'), 10) / 1e6;
  } catch {
    return undefined;
  }
}

/** Appends, and hands to the operating system what was appended, while more is appended. */
async function append(writer: CoreWalWriter, entries: number): Promise<Done> {
  const record = new NumberedRecord(RECORD_BYTES - KEY.length);
  let flushed = Promise.resolve();
  for (let next = 1; next <= entries; ) {
    try {
      for (const end = Math.min(entries, next + BURST - 1); next <= end; next++)
        writer.appendPut(KEY, record.numbered(next));
      flushed = writer.flush();
      await setImmediate();
    } catch (error) {
      if (!WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
      await flushed;
    }
  }
  await writer.flush();
  return { entries, latenciesUs: new Float64Array(0) };
}

/** Commits one entry behind the other, each on stable storage before the next. */
async function commit(writer: CoreWalWriter, durationMs: number, blocks: boolean): Promise<Done> {
  const record = new NumberedRecord(RECORD_BYTES - KEY.length);
  const latencies: number[] = [];
  const end = performance.now() + durationMs;
  for (let before = performance.now(); before < end; ) {
    writer.appendPut(KEY, record.numbered(latencies.length + 1));
    if (blocks) writer.syncSync();
    else await writer.sync();
    const now = performance.now();
    latencies.push((now - before) * 1000);
    before = now;
  }
  return { entries: latencies.length, latenciesUs: Float64Array.from(latencies) };
}
