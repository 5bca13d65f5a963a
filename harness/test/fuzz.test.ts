import { crc32c, scanFrames, sealFrames } from '@walstack/codec';
import { findDurabilityProof } from '@walstack/codec/internal';
import { expect, test } from 'vitest';
import { toText } from '../src/fuzz/corpus-format.js';
import { fuzz } from '../src/fuzz/fuzz.js';
import { KNOWN_LOGS, type KnownLog } from '../src/fuzz/logs/known-logs.js';
import { targetsOf } from '../src/fuzz/targets/codec-targets.js';
import type { Subject } from '../src/fuzz/targets/subjects.js';
import { TARGETS } from '../src/fuzz/targets/targets.js';
import { watch } from '../src/fuzz/watch.js';
import { run } from './command.js';
import { RUN_SEED } from './run-seed.js';

test.each([
  ['a seed that stays', ['--seed', '5']],
  ['the seed of this run', ['--seed', `${RUN_SEED}`]],
])('nothing is found in some hundred inputs of every kind with %s', (_what, seed) => {
  const { status, stdout, stderr, last } = run('fuzz', '--runs', '150', ...seed);
  console.log(`${stdout.split('\n', 1)[0]}\n${last}`);
  expect([status, stderr]).toEqual([0, '']);
  expect(last).toBe(`fuzz: ${150 * TARGETS.length} inputs, ${TARGETS.length} targets, 0 findings`);
});

test('the same seed gives the same inputs', async () => {
  const failing = { name: 'fails', fuzz: (seed: number) => ({ input: String(seed), error: '' }), replay: () => {} };
  const given = { minutes: Number.POSITIVE_INFINITY, runs: 10, targets: ['fails'], seed: 5 };
  const findings = [given, given, { ...given, seed: 6 }].map((each) => fuzz(each, () => {}, [failing]));
  const found = (await Promise.all(findings)).map((finding) => finding?.input);
  expect(found[0]).toBe(found[1]);
  expect(found[0]).not.toBe(found[2]);
});

const RIGHT: Subject = { name: 'wrong', crc32c, findDurabilityProof, scanFrames, sealFrames };

/** Implementations with a fault. */
const WRONG: readonly [string, string, Partial<Subject>][] = [
  ['a scan that believes every checksum', 'scanFrames, wrong', { scanFrames: scanWithoutChecksums }],
  [
    'a scan that takes blocks for larger than they are',
    'scanFrames, wrong',
    {
      scanFrames: (bytes, start, end, position, blockBytes, seed, offsets) =>
        scanFrames(bytes, start, end, position, Math.min(65_536, 2 * blockBytes), seed, offsets),
    },
  ],
  [
    'a scan that writes into the memory it reads',
    'scanFrames, wrong',
    {
      scanFrames: (bytes, start, end, ...rest) => {
        const count = scanFrames(bytes, start, end, ...rest);
        if (count > 2) bytes[start] = 0;
        return count;
      },
    },
  ],
  [
    'sealing without the seed',
    'sealFrames, wrong',
    { sealFrames: (bytes, start, end, position, blockBytes) => sealFrames(bytes, start, end, position, blockBytes, 0) },
  ],
  [
    'a search that overlooks what stands at the beginning',
    'findDurabilityProof, wrong',
    {
      findDurabilityProof: (bytes, start, ...rest) => findDurabilityProof(bytes, Math.min(rest[0], start + 1), ...rest),
    },
  ],
  [
    'a checksum that forgets where it ends',
    'crc32c, wrong',
    { crc32c: (bytes, seed, start) => crc32c(bytes, seed, start) },
  ],
];

test.each(WRONG)('%s is found', async (_what, name, fault) => {
  const given = { minutes: Number.POSITIVE_INFINITY, runs: 2000, targets: [name], seed: 1 };
  expect(await fuzz(given, () => {}, targetsOf({ ...RIGHT, ...fault }))).toMatchObject({ target: name });
});

function scanWithoutChecksums(...given: Parameters<typeof scanFrames>): number {
  const [bytes, start, end, position, blockBytes, seed, offsets] = given;
  const copy = bytes.slice();
  try {
    sealFrames(copy, start, end, position, blockBytes, seed);
  } catch {
    // A frame reaches over the end: those before it are sealed.
  }
  return scanFrames(copy, start, end, position, blockBytes, seed, offsets);
}

/** Logs of which something else is said than what they are. */
const known = KNOWN_LOGS.find(({ records, files }) => records.length > 3 && !('checkpoint' in files)) as KnownLog;

test.each([
  ['a record that was never appended', { ...known, records: known.records.slice(1) }, 'never appended'],
  ['a log that begins elsewhere', { ...known, firstLsn: known.firstLsn + 1 }, 'begins elsewhere'],
])('%s is found', (_what, input, message) => {
  const target = TARGETS.find(({ name }) => name === 'damaged log');
  expect(() => target?.replay(toText(known))).not.toThrow();
  expect(() => target?.replay(toText(input))).toThrow(message);
});

test('an input that does not come to an end is found', async () => {
  const program = `
    const { parentPort } = require('node:worker_threads');
    parentPort.postMessage({ what: 'turn', target: 'a loop', seed: 3, inputs: 7 });
    for (;;);`;
  const entry = new URL(
    `data:text/javascript,import { createRequire } from 'node:module'; const require = createRequire('file:///');${encodeURIComponent(program)}`,
  );
  const given = { minutes: 1, runs: 1, targets: [], seed: 1 };
  const { inputs, finding } = await watch(given, entry, 500);
  expect(inputs).toBe(7);
  expect(finding).toMatchObject({
    target: 'a loop',
    error: expect.stringContaining('it hangs: 7 inputs of the seed 3'),
  });
});

test.each([
  ['a target that does not exist', ['--target', 'moon'], '--target must be one of all, '],
  ['a seed that is none', ['--seed=-1'], '--seed must be a number from 0'],
])('%s is refused with exit code 2', (_what, args, message) => {
  const { status, stdout, stderr } = run('fuzz', ...args);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
});
