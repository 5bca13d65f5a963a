import type { FileSystem } from '@walstack/storage-io';
import { numberText } from '../output/units.js';
import type { Commits } from './commits.js';
import type { DurableWrite } from './durable-writes.js';
import { durationText } from './latencies.js';

/** What was measured on one disk. */
export interface DiskReport {
  readonly path: string;
  readonly fileSystem: FileSystem | undefined;
  /** The backends that do not work here, and why. */
  readonly unavailable: Readonly<Record<string, string>>;
  readonly writes: readonly DurableWrite[];
  readonly commits: readonly Commits[];
}

/** One is better than another one only where it takes less than this part of the time: less is noise. */
const CLEARLY = 0.85;

/** Below this, no usual disk has stored anything. */
const NO_DISK_US = 15;

/** What the measurements mean, in sentences. Everything in them was measured. */
export function adviceOf({ path, fileSystem, writes, commits }: DiskReport): string[] {
  return [
    ...diskAdvice(path, fileSystem, writes),
    ...preparationAdvice(writes),
    ...commitAdvice(commits, 1, 'One caller that waits for each commit'),
    ...commitAdvice(commits, 64, '64 callers at the same time'),
  ];
}

function diskAdvice(path: string, fileSystem: FileSystem | undefined, writes: readonly DurableWrite[]): string[] {
  const found: string[] = [];
  if (fileSystem?.caution !== undefined) found.push(`${path} is on ${fileSystem.caution}.`);
  const syncs = writes.filter(({ method }) => method === 'datasync');
  const [fastest] = [...syncs].sort(byMedian);
  if (fastest !== undefined && fastest.latencies.medianUs < NO_DISK_US) {
    found.push(
      `A write and its datasync take ${durationText(fastest.latencies.medianUs)}: this is memory, or a disk that reports a sync before it has stored anything.`,
    );
  }
  const bySync = writes.some((write) => write.bySync);
  if (bySync) {
    found.push(
      `Durable writes are carried out as a write and a datasync on ${fileSystem?.type ?? 'this file system'}: they were not shown to be durable by themselves on it.`,
    );
  }
  return found;
}

function preparationAdvice(writes: readonly DurableWrite[]): string[] {
  const [best] = [...writes].sort(byMedian);
  if (best === undefined) return [];
  const { backend, method, preallocate } = best;
  const plain = writes.find(
    (write) => write.backend === backend && write.method === method && write.preallocate === 'none',
  );
  const found = [
    `The fastest way to make one write durable is a ${methodText(method)} by ${backend}, ${PLACES[preallocate]}: ${durationText(best.latencies.medianUs)}.`,
  ];
  if (plain !== undefined && plain !== best) {
    const gain = plain.latencies.medianUs / Math.max(1, best.latencies.medianUs);
    found.push(
      isClearly(best.latencies.medianUs, plain.latencies.medianUs)
        ? `At the end of a growing file it takes ${gain.toFixed(1)} times as long: preallocate: '${preallocate}' fits.`
        : `At the end of a growing file it takes about as long: preallocating gains little here.`,
    );
  }
  return found;
}

function commitAdvice(commits: readonly Commits[], callers: number, what: string): string[] {
  // A backend that blocks its thread while the disk works fits no program that does anything else.
  const cases = commits
    .filter((each) => each.callers === callers && each.backend !== 'sync-fs')
    .sort((a, b) => b.perSecond - a.perSecond);
  const [best] = cases;
  if (best === undefined) return [];
  const usual = cases.find(({ backend, preset }) => backend === best.backend && preset === 'durable');
  const other = cases.find(({ backend }) => backend !== best.backend);
  const isUsual = usual === undefined || !isClearly(usual.perSecond, best.perSecond);
  const chosen = isUsual ? 'the default options' : `preset: '${best.preset}'`;
  const rate = isUsual && usual !== undefined ? usual : best;
  const isTie = other !== undefined && !isClearly(other.perSecond, best.perSecond);
  const against =
    other === undefined
      ? ''
      : `; ${isTie ? 'about as many' : 'the best'} on ${other.backend}: ${numberText(other.perSecond)}`;
  return [
    `${what}: ${best.backend} with ${chosen} fits, ${numberText(rate.perSecond)} commits per second, ${durationText(rate.latencies.medianUs)} each in the middle${against}.`,
  ];
}

const isClearly = (less: number, more: number): boolean => less < more * CLEARLY;

const byMedian = (a: DurableWrite, b: DurableWrite): number => a.latencies.medianUs - b.latencies.medianUs;

const methodText = (method: DurableWrite['method']): string =>
  method === 'datasync' ? 'write and a datasync' : method;

const PLACES: Readonly<Record<DurableWrite['preallocate'], string>> = {
  none: 'at the end of a growing file',
  allocate: 'into blocks that are reserved',
  write: 'into blocks that were written before',
};
