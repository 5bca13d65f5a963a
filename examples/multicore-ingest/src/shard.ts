import { once } from 'node:events';
import { writeSync } from 'node:fs';
import type { CoreContext } from '@walstack/percore';
import { encodeLine, keyOf, linesOf } from './lines.js';

/** The options of every core. */
export interface ShardOptions {
  readonly file: string;
  readonly cores: number;
  /** For each core, how many of its lines are durable, for the display. */
  readonly progress: SharedArrayBuffer;
}

/** Lines that are synced together. */
const LINES_PER_SYNC = 500;

/**
 * Runs in the worker thread of each core: appends the lines whose key belongs to this core, beginning after the last one in
 * the log, and reports durable lines on file descriptor 3, with a synchronous write.
 */
export async function ingest({ coreId, writer, options, port, signal }: CoreContext): Promise<number> {
  // The manager was given them as the options of this function.
  const { file, cores, progress } = options as ShardOptions;
  const durable = new Int32Array(progress);
  const [last] = (await once(port, 'message')) as [number];
  let appended = 0;
  let waiting = 0;
  let number = last;
  const acknowledge = async (): Promise<void> => {
    if (waiting === 0) return;
    const upTo = number;
    await writer.sync();
    Atomics.add(durable, coreId, waiting);
    report(`ack ${coreId} ${upTo} ${waiting}`);
    waiting = 0;
  };
  for await (const line of linesOf(file, coreId, cores)) {
    if (line.number <= last) continue;
    if (signal.aborted) break;
    writer.appendPut(Buffer.from(keyOf(line.text), 'latin1'), encodeLine(line));
    number = line.number;
    appended++;
    if (++waiting === LINES_PER_SYNC) await acknowledge();
  }
  await acknowledge();
  return appended;
}

function report(message: string): void {
  try {
    writeSync(3, `${message}\n`);
  } catch {
    // The reader of the reports has ended.
    process.exit(1);
  }
}
