import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIoName } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { TestEnvironment } from './support/environments.js';

/** A process that holds a log open, having made 5 records durable, until it is killed. */
async function holder(directory: string) {
  const script = join(temporaryDirectory(), 'holder.mjs');
  const library = import.meta.resolve('@walstack/segmented');
  writeFileSync(
    script,
    `import { SegmentedWal } from ${JSON.stringify(library)};
     const wal = SegmentedWal.openSync({ directory: ${JSON.stringify(directory)} });
     for (let lsn = 1; lsn <= 5; lsn++) wal.append('from the holder');
     wal.syncSync();
     console.log('ready');
     setInterval(() => {}, 1000);`,
  );
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

describe.each<StorageIoName>(['sync-fs', 'thread-pool'])('on %s', (io) => {
  test('a second process gets WAL_LOCKED with the holder, and after kill -9 the next open works', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const child = await holder(directory);
    const start = performance.now();
    const refused = await SegmentedWal.open({ directory, io }).catch((error: unknown) => error);
    const elapsed = performance.now() - start;
    expect(refused).toMatchObject({ code: 'WAL_LOCKED', holder: expect.stringContaining(`${child.pid}`) });
    // It does not wait: no matter how slow the machine is, it answers long before any timeout could have passed.
    expect(elapsed).toBeLessThan(5000);
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    const wal = await SegmentedWal.open({ directory, io });
    expect(wal.recovery).toMatchObject({ records: 5, cleanlyClosed: false });
    await wal.close();
    expect(readFileSync(join(directory, 'LOCK')).length).toBeGreaterThan(0);
  });

  test('a second log object in the same process gets it too, and not after close', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const wal = await SegmentedWal.open({ directory, io });
    await expect(SegmentedWal.open({ directory, io })).rejects.toMatchObject({ code: 'WAL_LOCKED' });
    await wal.close();
    const again = await SegmentedWal.open({ directory, io });
    await again.close();
  });
});

test('a log in memory is locked in its own environment', () => {
  const io = createMemoryStorageIo();
  const wal = SegmentedWal.openSync({ directory: '/log', io });
  expect(() => SegmentedWal.openSync({ directory: '/log', io })).toThrow(
    expect.objectContaining({ code: 'WAL_LOCKED' }),
  );
  const elsewhere = SegmentedWal.openSync({ directory: '/log', io: createMemoryStorageIo() });
  elsewhere.closeSync();
  wal.closeSync();
  SegmentedWal.openSync({ directory: '/log', io }).closeSync();
});

test('a log that is refused gives its lock back', () => {
  const io = createMemoryStorageIo();
  const wal = SegmentedWal.openSync({ directory: '/log', io });
  wal.closeSync();
  const name = io.list('/log').find((each) => each.startsWith('wal-')) as string;
  io.rename(`/log/${name}`, '/log/wal-0000000009-00000000000000000001.seg');
  expect(() => SegmentedWal.openSync({ directory: '/log', io })).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT' }),
  );
  io.rename('/log/wal-0000000009-00000000000000000001.seg', `/log/${name}`);
  SegmentedWal.openSync({ directory: '/log', io }).closeSync();
});

describe('lockTimeoutMs', () => {
  test('waits until the other writer has closed, by the timers of the environment', async () => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment();
    const wal = SegmentedWal.openSync({ directory: '/log', io });
    const second = SegmentedWal.open({ directory: '/log', io, ...environment.options, lockTimeoutMs: 100 });
    const waited: number[] = [];
    for (let round = 0; round < 3; round++) {
      waited.push(...environment.waiting);
      environment.fire();
    }
    expect(waited).toEqual([5, 10, 20]);
    wal.closeSync();
    environment.fire();
    await (await second).close();
  });

  test('fails after the timeout, having retried to the end', async () => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment();
    const wal = SegmentedWal.openSync({ directory: '/log', io });
    const second = SegmentedWal.open({ directory: '/log', io, ...environment.options, lockTimeoutMs: 1000 });
    const refused = expect(second).rejects.toMatchObject({ code: 'WAL_LOCKED' });
    let total = 0;
    while (environment.waiting.length > 0) {
      total += environment.waiting[0] as number;
      environment.fire();
    }
    await refused;
    expect(total).toBe(1000);
    wal.closeSync();
  });

  test('blocks the thread in the other form, and keeps a process alive that has nothing else to do', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const child = await holder(directory);
    const library = import.meta.resolve('@walstack/segmented');
    const open = (form: string): Promise<string> => {
      const script = `import { SegmentedWal } from ${JSON.stringify(library)};
        console.log('waiting');
        const wal = ${form}({ directory: ${JSON.stringify(directory)}, lockTimeoutMs: 60_000 });
        console.log(wal.recovery.records);
        wal.close();`;
      const opener = spawn(process.execPath, ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: opener.stdout });
      return new Promise((resolve, reject) => {
        lines.on('line', (line) => {
          if (line !== 'waiting') resolve(line);
          else if (form.startsWith('await')) child.kill('SIGKILL');
        });
        // Not 'exit', which may come before what it has printed.
        opener.on('close', () => reject(new Error('it ended without the lock')));
      });
    };
    expect(await open('await SegmentedWal.open')).toBe('5');
    const wal = SegmentedWal.openSync({ directory, lockTimeoutMs: 60_000 });
    expect(() => SegmentedWal.openSync({ directory, lockTimeoutMs: 30 })).toThrow(
      expect.objectContaining({ code: 'WAL_LOCKED' }),
    );
    wal.closeSync();
  });
});
