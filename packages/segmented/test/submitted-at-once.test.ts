import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { CompletionRouter, type IoToken, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, it } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY, texts } from './support/logs.js';

/** A log with several durable writes in flight, of which the first group is written: the next ones are submitted at once. */
async function begun(
  maxPending?: number,
  maxInFlight = 16,
): Promise<{ wal: SegmentedWal; io: StorageIo; disk: SimulatedDisk }> {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({
    completesInline: false,
    overlappedWrites: true,
    durableWrites: true,
    ...(maxPending === undefined ? {} : { maxPending }),
  });
  const environment = new TestEnvironment();
  const config = { directory: DIRECTORY, io, blockBytes: 512, segmentBytes: 4096, markAfterMs: 0, maxInFlight };
  const wal = await SegmentedWal.open({ ...config, preallocate: 'none', ...environment.options });
  wal.append('first');
  await wal.sync();
  return { wal, io, disk };
}

/** What the log holds after the power was cut. */
async function survivors(disk: SimulatedDisk): Promise<string[]> {
  const io = disk.crash('none').createStorageIo();
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io, ...new TestEnvironment(2).options });
  const found = texts(wal.replay());
  await wal.close();
  return found;
}

describe('a group that is submitted at once', () => {
  it('is durable with its sync, also when the next one begins a segment', async () => {
    const { wal, disk } = await begun();
    const expected = ['first'];
    for (let group = 0; group < 40; group++) {
      for (let record = 0; record < 5; record++) {
        expected.push(`${group}/${record}`.padEnd(100, 'x'));
        wal.append(expected.at(-1) as string);
      }
      await wal.sync();
    }
    expect(await survivors(disk)).toEqual(expected);
  });

  it('is durable with its sync behind records that were only flushed', async () => {
    const { wal, disk } = await begun();
    // Longer than a block, which would be written again with the next record.
    const flushed = 'flushed'.padEnd(1500);
    wal.append(flushed);
    await wal.flush();
    wal.append('synced');
    await wal.sync();
    expect(wal.durableLsn).toBe(3);
    expect(await survivors(disk)).toEqual(['first', flushed, 'synced']);
  });

  it('waits for room in a full queue', async () => {
    const { wal, io, disk } = await begun(3);
    const file = io.open(`${DIRECTORY}/other`, { create: true });
    // The queue is full until the router hands out completions: it is the only one that polls.
    const tokens: IoToken[] = [];
    for (let more = true; more; ) {
      try {
        tokens.push(io.submitWrite(file, new Uint8Array(1), 0));
      } catch (error) {
        expect(WalError.is(error, 'WAL_QUEUE_FULL')).toBe(true);
        more = false;
      }
    }
    wal.append('second');
    await wal.sync();
    expect(tokens.length).toBe(3);
    expect(await survivors(disk)).toEqual(['first', 'second']);
  });

  it('fails the log when its write is short, or is refused', async () => {
    for (const what of ['short', 'refused'] as const) {
      const { wal, io } = await begun();
      const poll = io.pollCompletions.bind(io);
      const submitWrite = io.submitWrite.bind(io);
      let written: IoToken | undefined;
      io.submitWrite = (file, data, offset, options) => {
        if (what === 'refused') throw new WalError('WAL_IO_FAILED', 'refused', { operation: 'write' });
        written = submitWrite(file, data, offset, options);
        return written;
      };
      io.pollCompletions = (out) => {
        const count = poll(out);
        for (let index = 0; index < count; index++) {
          if (out.tokens[index] === written) out.results[index] = (out.results[index] as number) - 1;
        }
        return count;
      };
      wal.append('second');
      await expect(wal.sync()).rejects.toMatchObject({ code: 'WAL_IO_FAILED' });
      expect(wal.failure).toMatchObject(what === 'short' ? { reason: 'short-write' } : { message: 'refused' });
      expect(wal.durableLsn).toBe(1);
      await wal.close().catch(() => {});
    }
  });

  it('fails the log when the backend throws, whatever it throws', async () => {
    const { wal, io } = await begun();
    io.submitWrite = () => {
      // biome-ignore lint/style/useThrowOnlyError: backends of applications may.
      throw undefined;
    };
    wal.append('second');
    await expect(wal.sync()).rejects.toMatchObject({
      code: 'WAL_IO_FAILED',
      message: expect.stringContaining('undefined'),
    });
    expect(wal.durableLsn).toBe(1);
    await wal.close().catch(() => {});
  });

  it('calls back in the order of the calls, also behind one that waited for room', async () => {
    const { wal, io } = await begun(undefined, 2);
    const writes: IoToken[] = [];
    const submitWrite = io.submitWrite.bind(io);
    io.submitWrite = (file, data, offset, options) => {
      writes.push(submitWrite(file, data, offset, options));
      return writes.at(-1) as IoToken;
    };
    // Completions are handed out when the test says so.
    const held: [IoToken, number][] = [];
    const free = new Set<IoToken>();
    let holds = true;
    const poll = io.pollCompletions.bind(io);
    io.pollCompletions = (out) => {
      const polled = poll(out);
      for (let index = 0; index < polled; index++) {
        held.push([out.tokens[index] as IoToken, out.results[index] as number]);
      }
      const handed = held.filter(([token]) => !holds || free.has(token));
      for (const [index, each] of handed.entries()) {
        [out.tokens[index], out.results[index]] = each;
        held.splice(held.indexOf(each), 1);
      }
      return handed.length;
    };
    const complete = async (write: number): Promise<void> => {
      free.add(writes[write] as IoToken);
      for (let turn = 0; turn < 5; turn++) {
        await new Promise(setImmediate);
        CompletionRouter.for(io).drain();
      }
    };
    const order: string[] = [];
    wal.append('a');
    wal.startSync(() => {
      order.push('a');
      wal.append('c');
      wal.startSync(() => order.push('c'));
    });
    wal.append('b');
    wal.startSync(() => order.push('b'));
    wal.startSync(() => order.push('nothing new'));
    await complete(0);
    expect(writes.length).toBe(3);
    await complete(2);
    await complete(1);
    expect(order).toEqual(['a', 'b', 'nothing new', 'c']);
    holds = false;
    await wal.close();
  });

  it('arms the timer of its mark behind the step, where a blocking call is possible', async () => {
    const io = new SimulatedDisk().createStorageIo({ completesInline: false });
    let armed = 0;
    const { options } = new TestEnvironment();
    const setTimer = (): (() => void) => {
      if (armed++ === 0) {
        wal.append('by the timer');
        wal.syncSync();
      }
      return () => {};
    };
    const wal = await SegmentedWal.open({ directory: DIRECTORY, io, preallocate: 'none', ...options, setTimer });
    wal.append('first');
    await wal.sync();
    expect(wal.durableLsn).toBe(2);
    await wal.close();
  });

  it('calls back behind the step, where everything may be called', async () => {
    const { wal, disk } = await begun();
    const order: string[] = [];
    const done = new Promise<void>((resolve) => {
      wal.append('second');
      wal.startSync((failure) => {
        order.push(`second: ${failure}`);
        wal.append('third');
        wal.syncSync();
        order.push(`third: ${wal.durableLsn}`);
        resolve();
      });
      order.push('started');
    });
    await done;
    expect(order).toEqual(['started', 'second: undefined', 'third: 3']);
    expect(await survivors(disk)).toEqual(['first', 'second', 'third']);
  });
});
