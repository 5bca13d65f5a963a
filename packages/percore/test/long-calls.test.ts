import { WalError } from '@walstack/codec';
import {
  CoreWalWriter,
  PerCoreRecovery,
  PerCoreWalManager,
  PerCoreWalReader,
  type WalProgress,
} from '@walstack/percore';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { beforeEach, describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { abortedInTurn, looksDuring, turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { DIRECTORY, open, SMALL } from './support/logs.js';

const ENTRIES = 200;

/** A log of two cores with so many entries each, which is closed. */
async function made(): Promise<StorageIo> {
  const io = createMemoryStorageIo();
  const manager = await open(io, 2);
  for (const core of [0, 1]) {
    for (let entry = 0; entry < ENTRIES; entry++) manager.writer(core).appendPut(`${entry}`, 'x'.repeat(100));
  }
  await manager.close();
  return io;
}

let io: StorageIo;
let told: WalProgress[];
const onProgress = (progress: WalProgress): void => void told.push(progress);

beforeEach(async () => {
  told = [];
  io = await made();
});

const options = (more: object = {}) => ({ directory: DIRECTORY, io, ...SMALL, ...more });

function checkTold(phases: readonly string[]): void {
  expect(told.length).toBeGreaterThan(3);
  for (const [index, { bytes, totalBytes, records }] of told.entries()) {
    const before = told[index - 1] ?? { bytes: 0, totalBytes: 0, records: 0 };
    expect(bytes).toBeGreaterThanOrEqual(before.bytes);
    expect(totalBytes).toBeGreaterThanOrEqual(before.totalBytes);
    expect(records).toBeGreaterThanOrEqual(before.records);
    expect(bytes).toBeLessThanOrEqual(totalBytes);
  }
  const last = told.at(-1);
  expect([last?.bytes, [...new Set(told.map(({ phase }) => phase))]]).toEqual([last?.totalBytes, phases]);
  expect(last?.totalBytes).toBeGreaterThan(0);
}

/** Expects that a call asks so often at least whether a turn is due, and waits for each that is. */
async function expectTurns(call: () => Promise<unknown>, least: number): Promise<void> {
  const { looks, most } = await looksDuring(call);
  expect(looks).toBeGreaterThan(least);
  expect(most).toBeLessThan(10);
}

test('recovery gives the event loop its turn, and reports how far it is', async () => {
  await expectTurns(async () => (await PerCoreRecovery.open(options())).close(), ENTRIES);
  const recovery = await PerCoreRecovery.open(options({ onProgress }));
  checkTold(['verify', 'replay']);
  await recovery.close();
  told = [];
  PerCoreRecovery.openSync(options({ onProgress })).closeSync();
  checkTold(['verify', 'replay']);
});

test('the sizes of the segments, of which progress needs all, are asked for in more than one turn', async () => {
  turnsByLooks(5);
  let [asked, most, all] = [0, 0, 0];
  const counted = new Proxy(io, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      if (name !== 'stat') return value.bind(target);
      return (path: string) => {
        if (asked++ === 0) setImmediate(() => (asked = 0));
        most = Math.max(most, asked);
        all++;
        return target.stat(path);
      };
    },
  });
  await (await PerCoreRecovery.open(options({ io: counted, onProgress }))).close();
  expect(all).toBeGreaterThan(20);
  expect(most).toBeLessThan(10);
});

test('the merged entries give the event loop its turn, and report how far they are', async () => {
  const recovery = await PerCoreRecovery.open(options());
  const entries = recovery.entries({ from: 'first' });
  await expectTurns(() => entries.forEach(() => {}), ENTRIES);
  turnsByLooks(2);
  let puts = 0;
  for await (const { operation } of recovery.entries({ from: 'first', onProgress })) if (operation === 'put') puts++;
  expect(puts).toBe(2 * ENTRIES);
  checkTold(['read']);
  turnsByLooks(5);
  const reading = recovery.entries({ signal: abortedInTurn(5) }).forEach(() => {});
  expect(await rejection(reading)).toMatchObject({ code: 'WAL_ABORTED' });
  expect(() => recovery.entries({ signal: 3 as never })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }),
  );
  await recovery.close();
});

test('a reader of one core gives the event loop its turn, and reports how far it is', async () => {
  const read = async (more: object = {}): Promise<number> => {
    await using reader = await PerCoreWalReader.open(0, DIRECTORY, { io, ...more });
    let puts = 0;
    for await (const { operation } of reader) if (operation === 'put') puts++;
    return puts;
  };
  await expectTurns(read, ENTRIES / 2);
  expect(await read({ onProgress })).toBe(ENTRIES);
  checkTold(['read']);
  expect(await rejection(read({ signal: abortedInTurn(5) }))).toMatchObject({ code: 'WAL_ABORTED' });
});

describe.each([
  ['PerCoreRecovery', (more: object) => PerCoreRecovery.open(options(more))],
  [
    'PerCoreRecovery with salvage',
    (more: object) => PerCoreRecovery.open(options({ recoveryMode: 'salvage', ...more })),
  ],
  ['PerCoreWalManager', (more: object) => PerCoreWalManager.open({ ...options(more), cores: 2 })],
  ['CoreWalWriter', (more: object) => CoreWalWriter.open(0, DIRECTORY, { io, ...SMALL, ...more })],
])('%s.open', (_name, opened) => {
  test('ends with its signal in whatever turn, and releases its locks', async () => {
    let ended = 0;
    for (let turn = 1; ; turn += 7) {
      turnsByLooks(5);
      const result = await opened({ signal: abortedInTurn(turn) }).catch((error: unknown) => error);
      if (!(result instanceof Error)) {
        await (result as { close(): Promise<void> }).close();
        break;
      }
      ended++;
      expect(result).toMatchObject({ code: 'WAL_ABORTED' });
      const recovery = PerCoreRecovery.openSync(options());
      expect(recovery.statistics.map(({ puts }) => puts)).toEqual([ENTRIES, ENTRIES]);
      recovery.closeSync();
    }
    expect(ended).toBeGreaterThan(5);
  });

  test('ends with what the callback throws, at whatever call, and releases its locks', async () => {
    const failures = [
      new Error('of the application'),
      new WalError('WAL_CORRUPT', 'of another log'),
      new WalError('WAL_NOT_FOUND', 'of another log'),
    ];
    const before = io.list(DIRECTORY);
    let ended = 0;
    for (let call = 1; ; call += 9) {
      turnsByLooks(5);
      const failure = failures[ended % failures.length] as Error;
      let calls = 0;
      const throwing = (): void => {
        if (++calls === call) throw failure;
      };
      const result = await opened({ onProgress: throwing }).catch((error: unknown) => error);
      if (!(result instanceof Error)) {
        await (result as { close(): Promise<void> }).close();
        break;
      }
      ended++;
      expect(result).toBe(failure);
      expect(calls).toBe(call);
      expect(io.list(DIRECTORY)).toEqual(before);
      const recovery = PerCoreRecovery.openSync(options());
      expect(recovery.statistics.map(({ puts }) => puts)).toEqual([ENTRIES, ENTRIES]);
      recovery.closeSync();
    }
    expect(ended).toBeGreaterThan(3);
  });

  test('touches nothing with a signal that is aborted', async () => {
    const signal = AbortSignal.abort();
    expect(await rejection(opened({ signal }) as Promise<unknown>)).toMatchObject({ code: 'WAL_ABORTED' });
    expect(await rejection(opened({ onProgress: {} }) as Promise<unknown>)).toMatchObject({
      code: 'ERR_INVALID_ARG_TYPE',
    });
  });
});
