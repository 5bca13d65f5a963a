import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createThreadPoolStorageIo } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { makeAlike } from './make-alike.js';
import { type Disk, mirror } from './mirror.js';

const EVENTS = 1000;
const LOG = 'log';

/** The directories that represent disks. */
const folder = mkdtempSync(join(tmpdir(), 'walstack-mirror-'));
const io = createThreadPoolStorageIo();
const diskNamed = (name: string): Disk => {
  mkdirSync(join(folder, name));
  return { io, root: join(folder, name) };
};

/** Opens the log on both disks, and uses it. */
async function withLog<T>(first: Disk, second: Disk, use: (wal: Wal<string>) => Promise<T>): Promise<T> {
  await makeAlike(first, second, LOG);
  await using backend = mirror(first, second);
  await using wal = await Wal.open(join(first.root, LOG), { io: backend, encoding: 'utf8' });
  return await use(wal);
}

const commitSome = (count: number) => async (wal: Wal<string>) => {
  await Promise.all(Array.from({ length: count }, () => wal.commit(`event ${wal.lastLsn + 1}`)));
  return wal.lastLsn;
};

async function countEvents(disk: Disk): Promise<number> {
  await using wal = await Wal.open(join(disk.root, LOG), { io: disk.io, encoding: 'utf8' });
  let right = 0;
  await wal.replay('first', ({ lsn, payload }) => {
    if (payload === `event ${lsn}`) right++;
  });
  return right;
}

try {
  const [a, b] = [diskNamed('disk-a'), diskNamed('disk-b')];
  console.log(`committed on disk-a and disk-b:   ${await withLog(a, b, commitSome(EVENTS))} events`);
  rmSync(a.root, { recursive: true });
  console.log(`disk-a is lost; found on disk-b:  ${await countEvents(b)} events`);
  const c = diskNamed('disk-c');
  console.log(`committed on disk-b and disk-c:   ${await withLog(b, c, commitSome(EVENTS))} events`);
  rmSync(b.root, { recursive: true });
  const found = await countEvents(c);
  console.log(`disk-b is lost; found on disk-c:  ${found} events`);
  process.exitCode = found === 2 * EVENTS ? 0 : 1;
} finally {
  await io.dispose();
  rmSync(folder, { recursive: true });
}
