import { createReadStream, createWriteStream } from 'node:fs';
import { link, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FileName } from '@walstack/codec';
import type { Context } from '../context.js';
import { Progress } from '../output/progress.js';

interface SourceFile {
  readonly path: string;
  readonly bytes: number;
  readonly mode: number;
}

const PIECE_BYTES = 1024 * 1024;

/** Files of locks name processes: they belong to no copy. */
const isLock = (name: string): boolean => name.startsWith(FileName.lock);

/**
 * Copies a file, or a directory with everything in it but its locks. The owner may write the copy, also of what is kept read-only.
 * Durable on return, but for the name of `to` itself.
 *
 * @param to - must not exist
 * @returns how many bytes were copied
 */
export async function copyDurably(from: string, to: string, context: Context): Promise<number> {
  const directories: string[] = [];
  const files: SourceFile[] = [];
  await gather(from, directories, files);
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = new Progress(context.err);
  let bytes = 0;
  const copied = (count: number): void => {
    bytes += count;
    progress.show({ phase: 'copy', bytes, totalBytes });
  };
  try {
    for (const each of directories)
      await mkdir(join(to, relative(from, each)), { mode: (await stat(each)).mode | 0o700 });
    for (const file of files) await copyFile(file, join(to, relative(from, file.path)), copied, context.signal);
    for (const each of directories.reverse()) await syncDirectory(join(to, relative(from, each)));
  } finally {
    progress.clear();
  }
  return bytes;
}

async function gather(path: string, directories: string[], files: SourceFile[]): Promise<void> {
  const found = await stat(path);
  if (found.isFile()) files.push({ path, bytes: found.size, mode: found.mode });
  if (!found.isDirectory()) return;
  directories.push(path);
  for (const name of (await readdir(path)).sort()) {
    if (!isLock(name)) await gather(join(path, name), directories, files);
  }
}

async function copyFile(
  { path, mode }: SourceFile,
  to: string,
  copied: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const count = new Transform({
    transform(piece: Uint8Array, _encoding, done) {
      copied(piece.length);
      done(null, piece);
    },
  });
  const into = createWriteStream(to, { flags: 'wx', mode: (mode & 0o777) | 0o600, flush: true });
  await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), count, into, { signal });
}

/**
 * Makes a directory with those above it. Durable on return, but for what is in it.
 *
 * @returns the first one that was made; `undefined` where all were there
 */
export async function makeDirectoriesDurably(path: string): Promise<string | undefined> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return undefined;
  for (let each = path; ; each = dirname(each)) {
    await syncDirectory(dirname(each));
    if (each === first) return first;
  }
}

/** Gives a durable draft its name, unless something else has it. Durable on return. @throws `EEXIST` */
export async function nameFile(draft: string, path: string): Promise<void> {
  try {
    await link(draft, path);
    await unlink(draft);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'ENOTSUP') throw error;
    // A file system without second names.
    await rename(draft, path);
  }
  await syncDirectory(dirname(path));
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  // Windows has no way to sync a directory.
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
