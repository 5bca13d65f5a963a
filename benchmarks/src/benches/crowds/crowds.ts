import { spawnSync } from 'node:child_process';
import type { Case, Contestant } from '../../case.js';
import { inPackage } from '../../machine/folders.js';
import type { Settings } from '../../settings.js';

/** Of the largest crowd. Each is four times as large as the one two before. */
const PARTS = [0.1, 0.25, 0.4, 1];

/** In a process of its own, whose memory is not yet as large as after the contestants before. */
function contestant(subject: string, work: string, count: number): Contestant {
  return {
    subject,
    measure: async () => {
      const args = ['--expose-gc', inPackage('dist', 'crowd.js'), work, String(count)];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
      if (status !== 0) throw new Error(`crowd failed: ${stderr}`);
      return { value: Number(stdout) };
    },
  };
}

/** What one of many costs that come at once: with four times as many it should be the same, or little more. */
export function crowds({ records }: Settings): Case[] {
  const cases = (work: string, most: number, subjects: readonly (readonly [string, string])[]): Case[] =>
    PARTS.map((part) => Math.round(part * most)).map((count) => ({
      bench: 'crowds',
      name: `${work}=${count}`,
      unit: 'µs',
      contestants: subjects.map(([subject, does]) => contestant(subject, does, count)),
    }));
  const alone = (work: string): [string, string][] => [['walstack/memory', work]];
  return [
    ...cases('commits', records, [...alone('commits'), ['promises', 'promises']]),
    ...cases('aborted', records / 10, alone('aborted')),
    ...cases('durable', records / 2, alone('durable')),
    ...cases('truncated', records / 100, alone('truncated')),
  ];
}
