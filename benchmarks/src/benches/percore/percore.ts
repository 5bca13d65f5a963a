import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { PerCoreRecovery, PerCoreWalManager } from '@walstack/percore';
import type { StorageIoName } from '@walstack/storage-io';
import type { Case, Contestant, Figure, Sample } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import { RECORD_BYTES } from '../../payloads/records.js';
import { Latencies } from '../../rows/latencies.js';
import { recordsOf, type Settings } from '../../settings.js';
import { onBackends } from '../../subjects/on-backends.js';
import type { Subject } from '../../subjects/subject.js';
import type { CoreAnswer, CoreWork } from './percore-worker.js';

/** How many writers there are: one, two, and twice as many each time, up to all the cores that there are. */
export function writerCounts(cores: number): number[] {
  const counts = new Set([1, 2]);
  for (let writers = 4; writers < cores; writers *= 2) counts.add(writers);
  return [...counts.add(Math.max(2, cores))];
}

/** One writer for each core, in a worker thread each: entries that are not waited for, and such that are. */
export function percore(settings: Settings): Case[] {
  const counts = writerCounts(availableParallelism());
  const entries = recordsOf(settings, RECORD_BYTES);
  const caseOf = (name: string, unit: string, writers: number, work: (canWait: boolean) => CoreWork): Case => ({
    bench: 'percore',
    name: `${name}${writers}`,
    unit,
    contestants: onBackends(settings.subjects, (subject, io) => ({
      subject: subject.name,
      measure: measurementOf(settings, subject, io, writers, work),
    })),
  });
  return [
    ...counts.map((writers) => caseOf('writers=', 'records/s', writers, () => ({ kind: 'append', entries }))),
    ...counts.map((writers) =>
      caseOf('durable writers=', 'commits/s', writers, (blocks) => ({
        kind: 'commit',
        durationMs: settings.durationMs,
        blocks,
      })),
    ),
  ];
}

function measurementOf(
  { scratch }: Settings,
  subject: Subject,
  io: StorageIoName,
  writers: number,
  workOf: (canWait: boolean) => CoreWork,
): Contestant['measure'] {
  return async () => {
    const directory = scratch.next('percore');
    const work = workOf(subject.blocking !== undefined);
    const module = pathToFileURL(inPackage('dist', 'percore-worker.js')).href;
    const manager = await PerCoreWalManager.open({
      directory,
      cores: writers,
      io,
      workers: { run: { module, export: 'work' } },
    });
    const { answers, elapsedMs, allMs } = await workTogether(manager, work);
    await manager.close();
    await countBack(directory, io, answers);
    scratch.remove(directory);
    return work.kind === 'append'
      ? { ...sampleOf(answers, elapsedMs), also: processorTimes(answers, allMs) }
      : sampleOf(answers, elapsedMs);
  };
}

/** Has every writer do the same at the same time. */
async function workTogether(manager: PerCoreWalManager, work: CoreWork) {
  const ports = manager.coreIds.map((coreId) => manager.port(coreId));
  const used = process.cpuUsage();
  const start = performance.now();
  const answering = ports.map(async (port) => {
    const answer = once(port, 'message');
    port.postMessage(work);
    // The worker answers with this and nothing else.
    return (await answer)[0] as CoreAnswer;
  });
  const answers = await Promise.all(answering);
  const elapsedMs = performance.now() - start;
  const { user, system } = process.cpuUsage(used);
  return { answers, elapsedMs, allMs: (user + system) / 1000 };
}

/** Every entry of every core has to be there. */
async function countBack(directory: string, io: StorageIoName, answers: readonly CoreAnswer[]): Promise<void> {
  await using recovery = await PerCoreRecovery.open({ directory, io });
  for (const { coreId, puts } of recovery.statistics) {
    const expected = answers[coreId]?.entries;
    if (puts !== expected) throw new Error(`core ${coreId} has ${puts} entries, and ${expected} were appended`);
  }
}

/** Processor time of a record: of the thread of each writer for its own, and of the whole process for all of them. */
function processorTimes(answers: readonly CoreAnswer[], allMs: number): Figure[] {
  const unit = 'ns/record';
  const entries = answers.reduce((sum, answer) => sum + answer.entries, 0);
  const ofWriters = answers.flatMap((answer, index) =>
    answer.processorMs === undefined
      ? []
      : [{ name: `processor writer=${index + 1}`, unit, value: (answer.processorMs * 1e6) / answer.entries }],
  );
  return [...ofWriters, { name: 'processor all', unit, value: (allMs * 1e6) / entries }];
}

function sampleOf(answers: readonly CoreAnswer[], elapsedMs: number): Sample {
  const entries = answers.reduce((sum, answer) => sum + answer.entries, 0);
  const value = (entries * 1000) / elapsedMs;
  const latencies = new Latencies();
  for (const { latenciesUs } of answers) for (const us of latenciesUs) latencies.add(us);
  return latencies.count === 0 ? { value } : { value, latency: latencies.summary };
}
