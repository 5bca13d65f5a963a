import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { PerCoreWalManager } from '@walstack/percore';
import {
  createMemoryStorageIo,
  MemoryDisk,
  PortableWalWriter,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { rejection } from '../test-kit/outcomes.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

type BackendName = 'sync-fs' | 'thread-pool' | 'io-uring';

/** What reads, and where. */
interface Reading {
  readonly log: string;
  readonly cores: string;
  readonly frames: string;
  readonly io: BackendName;
  readonly count: number;
}

type Found = Readonly<Record<string, number | string>>;

const backends: readonly BackendName[] = [
  'sync-fs',
  'thread-pool',
  ...(ringSupport().available ? (['io-uring'] as const) : []),
];

const everyReader: { readByEveryReader(reading: Reading): Promise<Found> } = await import(
  new URL('./support/every-reader.mjs', import.meta.url).href
);

const NAMES = [
  'Wal.recover',
  'Wal.open',
  'Wal.follow',
  'SegmentedWal',
  'replayDirectory',
  'LogTail',
  'MmapWalReader',
  'PerCoreWalReader',
  'readFrames',
];

/** The same for each kind of reading. */
const each = (what: number | string): Found => Object.fromEntries(NAMES.map((name) => [name, what]));

const COUNT = 100;

const closing: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A log, a per-core log and a file of frames, all of them open, with records that are durable. */
async function written(directory: string, io: BackendName, modes: { fileMode?: number; directoryMode?: number } = {}) {
  const [log, cores, frames] = ['log', 'cores', 'frames'].map((name) => join(directory, 'logs', name));
  // Nothing is written in the background, while the files are compared.
  const options = { ...modes, io, segmentBytes: 8192, blockBytes: 512, markAfterMs: 0, preallocate: 'none' } as const;
  const wal = await Wal.open(log as string, options);
  closing.push(() => wal.shutdown());
  const manager = await PerCoreWalManager.open({ ...options, directory: cores as string, cores: 1 });
  closing.push(() => manager.close());
  const { fileMode } = modes;
  const writer = await PortableWalWriter.open(frames as string, {
    io,
    framed: true,
    ...(fileMode === undefined ? {} : { fileMode }),
  });
  closing.push(() => writer.close());
  for (let count = 1; count <= COUNT; count++) {
    wal.append(`${count}`.padEnd(300));
    manager.writer(0).appendPut(`${count}`, ''.padEnd(300));
    await writer.appendWithChecksum(`${count}`);
  }
  await wal.sync();
  await wal.checkpoint(2);
  await manager.endEpoch();
  await writer.sync();
  return { wal, reading: { log, cores, frames, io, count: COUNT } as Reading };
}

/** Every name below a directory, with what a writer would change of it. */
function contents(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const { size, mtimeMs, ctimeMs, mode, ino } = lstatSync(join(directory, name));
      return `${name} ${size} ${mtimeMs} ${ctimeMs} ${mode.toString(8)} ${ino}`;
    })
    .sort();
}

/** Why no test here can become another user; `undefined` where it can. */
const noOtherUser = process.getuid?.() === 0 ? otherUserUnavailable() : 'only root can become another user';

function otherUserUnavailable(): string | undefined {
  const { status, stderr } = spawnSync(process.execPath, ['-e', 'process.seteuid(65534)'], { encoding: 'utf8' });
  return status === 0 ? undefined : stderr;
}

function readAsAnotherUser(reading: Reading): Found {
  const child = fileURLToPath(new URL('./support/read-as-another-user.mjs', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [child, JSON.stringify(reading)], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (status !== 0) throw new Error(`the reading process ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Found;
}

/** A directory that every user can search. */
function publicDirectory(): string {
  const directory = join(temporaryDirectory(), 'public');
  mkdirSync(directory);
  execFileSync('chmod', ['755', join(directory, '..'), directory]);
  return directory;
}

/** Shows a directory at another place, where nothing can be written. */
function mountedReadOnly(directory: string): string {
  const mount = temporaryDirectory();
  execFileSync('mount', ['--bind', directory, mount]);
  onTestFinished(() => void execFileSync('umount', ['--lazy', mount]));
  execFileSync('mount', ['-o', 'remount,bind,ro', mount]);
  return mount;
}

const noMount = process.getuid?.() === 0 ? mountUnavailable() : 'only root can mount';

function mountUnavailable(): string | undefined {
  const { status, stderr, error } = spawnSync('unshare', ['--mount', 'mount', '--bind', '/tmp', '/mnt'], {
    encoding: 'utf8',
  });
  return status === 0 ? undefined : (error?.message ?? stderr);
}

describe.each(backends)('on %s', (io) => {
  test.skipIf(noOtherUser !== undefined)('another user reads what a writer has open, and changes nothing', async () => {
    const directory = publicDirectory();
    const { reading } = await written(directory, io, { fileMode: 0o644, directoryMode: 0o755 });
    const before = contents(directory);
    expect(readAsAnotherUser(reading)).toEqual(each(COUNT));
    expect(contents(directory)).toEqual(before);
  });

  test.skipIf(noOtherUser !== undefined)('another user reads nothing where no permissions are given', async () => {
    const directory = publicDirectory();
    const { reading } = await written(directory, io);
    expect(readAsAnotherUser(reading)).toEqual(each('WAL_IO_FAILED EACCES'));
  });

  test.skipIf(noMount !== undefined)('all of them read on a read-only mount, also what was not closed', async () => {
    const directory = temporaryDirectory();
    const { wal, reading } = await written(directory, io);
    // What a snapshot of the disk has: a log that is in use.
    const snapshot = temporaryDirectory();
    cpSync(join(directory, 'logs'), snapshot, { recursive: true });
    for (const close of closing.splice(0)) await close();
    expect(wal.state).toBe('closed');
    for (const place of [snapshot, join(directory, 'logs')]) {
      const mount = mountedReadOnly(place);
      const [log, cores, frames] = ['log', 'cores', 'frames'].map((name) => join(mount, name));
      const there = { ...reading, log, cores, frames } as Reading;
      const before = contents(place);
      expect(await everyReader.readByEveryReader(there)).toEqual(each(COUNT));
      expect(contents(place)).toEqual(before);
      expect(await rejection(Wal.open(there.log, { io }))).toMatchObject({ systemCode: 'EROFS' });
    }
  });
});

test('readers open every file with readOnly, and call nothing that changes a backend', async () => {
  const disk = new MemoryDisk();
  const writing = createMemoryStorageIo({ disk });
  const wal = await Wal.open('/log', { io: writing, segmentBytes: 8192, blockBytes: 512 });
  for (let count = 0; count < COUNT; count++) wal.append(''.padEnd(300));
  await wal.sync();
  await wal.checkpoint(2);
  const io = readingOnly(createMemoryStorageIo({ disk }));
  await Wal.recover('/log', { recoveryMode: 'readonly', io });
  const other = await Wal.open('/log', { recoveryMode: 'readonly', io });
  expect(await other.replay('first', () => {})).toBe(COUNT);
  expect((await other.read(50))?.lsn).toBe(50);
  const followers = [other.follow('first'), Wal.follow('/log', 'checkpoint', { io, durableOnly: false })];
  for (const follower of followers) {
    expect((await follower.next()).done).toBe(false);
    await follower.return();
  }
  await other.close();
  await wal.shutdown();
});

/** A backend that refuses to open a file for writing, and every call that changes something. */
function readingOnly(io: StorageIo): StorageIo {
  const refuse = (): never => {
    throw new Error('a reader changes something');
  };
  const { open } = io;
  return Object.assign(io, {
    open: (...[path, options]: Parameters<StorageIo['open']>) => {
      expect(options).toMatchObject({ readOnly: true });
      return open.call(io, path, options);
    },
    rename: refuse,
    makeDirectory: refuse,
    lock: refuse,
    submitWrite: refuse,
    submitAppend: refuse,
    submitDatasync: refuse,
    submitSyncDirectory: refuse,
    submitTruncate: refuse,
    submitAllocate: refuse,
    submitRemove: refuse,
  });
}
