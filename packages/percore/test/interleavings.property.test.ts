import { type CoreEntry, PerCoreRecovery, PerCoreWalManager } from '@walstack/percore';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentOf } from './support/fixtures.js';

/** An operation on a log of four cores. */
type Step =
  | { readonly kind: 'put' | 'delete' | 'commit'; readonly core: number; readonly wait: number }
  | { readonly kind: 'sync'; readonly core: number }
  | { readonly kind: 'endEpoch' | 'checkpoint' | 'reset' | 'turn' };

const CORES = 4;
const core = fc.integer({ min: 0, max: CORES - 1 });
/** The clock advances, stands still, or goes back. */
const wait = fc.integer({ min: -3, max: 5 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constantFrom('put' as const, 'delete' as const), core, wait }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('commit' as const), core, wait }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('sync' as const), core }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('endEpoch' as const, 'turn' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom('checkpoint' as const, 'checkpoint' as const, 'reset' as const) }),
  },
);

/** An entry as recovery must return it. */
interface Expected {
  readonly epoch: number;
  readonly time: number;
  readonly core: number;
  readonly number: number;
  readonly content: unknown;
}

/** A model of a per-core log: a list for each core, and an epoch. */
class Model {
  #epoch = 0;
  entries: Expected[] = [];
  offsets = new Map<string, bigint>();
  #times: readonly number[] = Array.from({ length: CORES }, () => 0);
  #appended = 0;

  /** A barrier is an entry, too: later entries do not have an earlier time. */
  see(epoch: number, now: number): void {
    if (epoch === this.#epoch) return;
    this.#epoch = epoch;
    this.#times = this.#times.map((time) => Math.max(time, now));
  }

  append(core: number, now: number, content: unknown): void {
    const time = Math.max(this.#times[core] as number, now);
    this.#times = this.#times.with(core, time);
    this.entries.push({ epoch: this.#epoch, time, core, number: this.#appended++, content });
  }

  /** In the order of recovery. */
  get sorted(): unknown[] {
    return [...this.entries]
      .sort((a, b) => a.epoch - b.epoch || a.time - b.time || a.core - b.core || a.number - b.number)
      .map(({ content }) => content);
  }
}

async function run(steps: readonly Step[]): Promise<void> {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ completesInline: false });
  let time = 1000;
  const options = { directory: '/log', io, now: () => time, markAfterMs: 0, segmentBytes: 4096, blockBytes: 512 };
  const manager = await PerCoreWalManager.open({ ...options, cores: CORES });
  const model = new Model();
  const underWay: Promise<unknown>[] = [];
  let number = 0;
  // Ending an epoch is queued: the epoch ends a turn of the event loop after the call.
  const epochEnds = async (begin: () => Promise<unknown>): Promise<void> => {
    const before = manager.epoch;
    const done = begin();
    underWay.push(done);
    for (let turn = 0; manager.epoch === before && turn < 1000; turn++)
      await Promise.race([done, new Promise(setImmediate)]);
  };
  for (const each of steps) {
    model.see(manager.epoch, time);
    if ('wait' in each) time = Math.max(1, time + each.wait);
    const name = `entry ${number++}`;
    switch (each.kind) {
      case 'put':
        manager.writer(each.core).appendPut(name, 'value');
        model.append(each.core, time, ['put', name, 'value']);
        break;
      case 'delete':
        manager.writer(each.core).appendDelete(name);
        model.append(each.core, time, ['delete', name]);
        break;
      case 'commit':
        manager.writer(each.core).appendCommit({ [`source ${each.core}`]: number });
        model.offsets.set(`source ${each.core}`, BigInt(number));
        model.append(each.core, time, ['commit', { [`source ${each.core}`]: BigInt(number) }, undefined]);
        break;
      case 'sync':
        underWay.push(manager.writer(each.core).sync());
        break;
      case 'turn':
        await new Promise(setImmediate);
        break;
      case 'endEpoch':
        await epochEnds(() => manager.endEpoch());
        break;
      case 'checkpoint':
      case 'reset': {
        await Promise.all(underWay.splice(0));
        await (each.kind === 'reset' ? manager.reset() : manager.checkpoint(() => {}));
        model.entries = [];
        if (each.kind === 'reset') model.offsets.clear();
      }
    }
  }
  await Promise.all(underWay);
  await manager.syncAll();
  // The process dies, and the synced entries remain.
  const after = disk.crash('none').createStorageIo();
  await using recovery = await PerCoreRecovery.open({ directory: '/log', io: after });
  const found: CoreEntry[] = [];
  for await (const entry of recovery.entries()) found.push(entry);
  expect(found.filter(({ operation }) => operation !== 'epochBarrier').map(contentOf)).toEqual(model.sorted);
  expect(recovery.offsets).toEqual(model.offsets);
}

test('1,000 interleavings of four writers, epochs and checkpoints are recovered in the order of the model', async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), run), { numRuns: 1000 });
}, 600_000);
