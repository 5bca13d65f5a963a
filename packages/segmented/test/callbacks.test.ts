import { channel } from 'node:diagnostics_channel';
import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { BACKENDS } from './support/environments.js';
import { texts } from './support/logs.js';

/** Functions that a log calls, and what they may call in their turn. */

const BLOCKING = BACKENDS.filter(([, create]) => create().capabilities.canWait);

const truncating = expect.objectContaining({ code: 'WAL_STATE', state: 'truncating' });

/** What a call throws; `undefined` when it throws nothing. */
function thrownBy(call: () => unknown): unknown {
  try {
    call();
    return undefined;
  } catch (error) {
    return error;
  }
}

describe.each(BACKENDS)('thousands of callbacks on %s', (_name, create: () => StorageIo) => {
  const COUNT = 20_000;

  /** Starts syncs, and counts how many callbacks are under way one inside another. */
  async function deepest(start: (wal: SegmentedWal, ended: () => void) => void): Promise<number> {
    const io = create();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io });
    let [left, depth, most] = [COUNT, 0, 0];
    await new Promise<void>((resolve) => {
      const ended = (): void => {
        most = Math.max(most, ++depth);
        left--;
        if (left === 0) resolve();
        else start(wal, ended);
        depth--;
      };
      for (let each = 0; each < (start === none ? COUNT : 1); each++) wal.startSync(ended);
    });
    await wal.close();
    await io.dispose();
    return most;
  }

  const none = (): void => {};
  const again = (wal: SegmentedWal, ended: () => void): void => wal.startSync(ended);

  test('each of which starts the next sync are called one behind the other', async () => {
    expect(await deepest(again)).toBe(1);
  });

  test('of syncs that were started at once are called one behind the other', async () => {
    expect(await deepest(none)).toBe(1);
  });
});

describe.each(BLOCKING)('on %s', (_name, create: () => StorageIo) => {
  const filled = (records = 100) => {
    const io = create();
    const config = { directory: directoryFor(io), io, segmentBytes: 16_384, blockBytes: 512 };
    const wal = SegmentedWal.openSync(config);
    while (wal.nextLsn <= records) wal.append(`old ${wal.nextLsn}`.padEnd(60));
    wal.syncSync();
    return { io, config, wal };
  };

  const kept = (wal: SegmentedWal): string[] => texts(wal.replay()).map((text) => text.trim());
  const old = (last: number): string[] => Array.from({ length: last }, (_, index) => `old ${index + 1}`);

  describe.each([
    ['a short record', 10],
    ['a record that rolls', 20_000],
  ])('%s appended by the callback of a sync while a blocking cut drives it', (_what, bytes) => {
    test.each([
      ['truncateAfterSync', 50],
      ['resetToSync', 51],
    ] as const)('is refused by %s', async (cut, lsn) => {
      const { io, config, wal } = filled();
      wal.append('pending');
      const seen: unknown[] = [];
      wal.startSync(() => seen.push(thrownBy(() => wal.append('late'.padEnd(bytes)))));
      // A backend that completes before the call returns has called it already.
      const early = seen.length > 0;
      wal[cut](lsn);
      expect(seen).toEqual([early ? undefined : truncating]);
      expect([wal.lastLsn, wal.durableLsn, wal.pendingBytes]).toEqual([50, 50, 0]);
      expect(wal.append('new')).toBe(51);
      wal.syncSync();
      const expected = [...(cut === 'resetToSync' ? [] : old(50)), 'new'];
      expect(kept(wal)).toEqual(expected);
      wal.closeSync();
      const again = SegmentedWal.openSync(config);
      expect(again.recovery.cleanlyClosed).toBe(true);
      expect(kept(again)).toEqual(expected);
      again.closeSync();
      await io.dispose();
    });
  });

  const calls: readonly (readonly [string, (wal: SegmentedWal) => void, string[]])[] = [
    ['syncSync', (wal) => wal.syncSync(), old(100)],
    ['truncateAfterSync', (wal) => wal.truncateAfterSync(50), old(50)],
    ['resetToSync', (wal) => wal.resetToSync(7), []],
    ['truncateBeforeSync', (wal) => wal.truncateBeforeSync(1), old(100)],
    ['checkpointSync', (wal) => wal.checkpointSync(9), old(100)],
    ['readSync', (wal) => expect(wal.readSync(3)?.lsn).toBe(3), old(100)],
    ['closeSync', (wal) => wal.closeSync(), old(100)],
  ];

  describe.each(calls)('%s', (_call, call, expected) => {
    const reopened = async (config: { readonly io: StorageIo; readonly directory: string }): Promise<void> => {
      const again = SegmentedWal.openSync(config);
      expect(kept(again)).toEqual(expected);
      again.closeSync();
      await config.io.dispose();
    };

    test('may be called in the callback of a sync that had nothing to do', async () => {
      const { config, wal } = filled();
      const seen: unknown[] = [];
      wal.startSync(() => seen.push(thrownBy(() => call(wal))));
      expect(seen).toEqual([undefined]);
      wal.closeSync();
      await reopened(config);
    });

    test('may be called in the callback of a sync that another blocking call drives', async () => {
      const { config, wal } = filled(98);
      const seen: unknown[] = [];
      wal.append('old 99');
      wal.startSync(() => seen.push(thrownBy(() => call(wal))));
      if (seen.length === 0) {
        wal.append('old 100');
        wal.syncSync();
      }
      expect(seen).toEqual([undefined]);
      wal.closeSync();
      await config.io.dispose();
    });

    test('may be called by a listener of a roll', async () => {
      const { config, wal } = filled(50);
      const seen: unknown[] = [];
      const listener = (): void => {
        channel('walstack:roll').unsubscribe(listener);
        seen.push(thrownBy(() => call(wal)));
      };
      channel('walstack:roll').subscribe(listener);
      const lastLsn = wal.append('x'.padEnd(16_000));
      expect(lastLsn).toBe(51);
      wal.syncSync();
      expect(seen).toEqual([undefined]);
      wal.closeSync();
      SegmentedWal.openSync(config).closeSync();
      await config.io.dispose();
    });

    test('may be called by a listener of a cut', async () => {
      const { config, wal } = filled(110);
      const seen: unknown[] = [];
      const listener = (): void => {
        channel('walstack:truncate').unsubscribe(listener);
        seen.push(thrownBy(() => call(wal)));
      };
      channel('walstack:truncate').subscribe(listener);
      wal.truncateAfterSync(100);
      expect(seen).toEqual([undefined]);
      wal.closeSync();
      await reopened(config);
    });
  });
});
