import { expect, test } from 'vitest';
import type { ImageFinding } from '../src/powercut/examination.js';
import { planLogs } from '../src/powercut/logs.js';
import type { DiskEvent } from '../src/powercut/record/events.js';
import { judged, Tally } from '../src/powercut/tally.js';
import { Random } from '../src/random.js';

const LOGS = planLogs('sync-fs', new Random(1));

const acknowledgedBy = (log: number, lsn = 3): DiskEvent => ({ what: 'report', log, line: `acknowledged ${lsn}` });
const ALL = LOGS.map((_, log) => acknowledgedBy(log));

/** What comes of a guest with these events, and of one image of its disk. */
function tallyOf(events: readonly DiskEvent[], verdict: ImageFinding['verdict'] = 'kept'): Tally {
  const tally = new Tally('ext4, sync-fs, fua');
  const facts = { fileSystem: 'ext4', kernel: '6.1', seed: 1, logs: LOGS, history: [] } as const;
  tally.countRecord({ events, facts });
  tally.countImage({ image: 0, cut: 0, tornBlocks: true, verdict, text: '' }, LOGS.length);
  return tally;
}

test('a run is right when every log has acknowledged something, and has it', () => {
  expect(judged([tallyOf(ALL)], false)).toEqual({ isRight: true, text: 'powercut: 1 images, 0 wrong' });
});

test.each(['lost', 'refused', 'broken', 'unmountable'] as const)(
  'a run is wrong with an image that is %s',
  (verdict) => {
    expect(judged([tallyOf(ALL), tallyOf(ALL, verdict)], false)).toMatchObject({ isRight: false });
  },
);

test('a run is wrong where a log has acknowledged nothing', () => {
  const { isRight, text } = judged([tallyOf([...ALL.slice(0, 2), acknowledgedBy(2, 0), ...ALL.slice(3)])], false);
  expect(isRight).toBe(false);
  expect(text).toBe('powercut: 1 images, 0 wrong; nothing was acknowledged by ext4, sync-fs, fua: percore');
});

test.each([
  ['kept', false],
  ['lost', true],
  ['refused', true],
  ['broken', false],
  ['unmountable', false],
] as const)('a control whose image is %s has lost something: %s', (verdict, isRight) => {
  expect(judged([tallyOf(ALL, verdict)], true)).toMatchObject({ isRight });
});
