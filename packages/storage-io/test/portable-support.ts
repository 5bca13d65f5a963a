import {
  type IoRoutine,
  ioSteps,
  type PortableWalWriter,
  type ReadFramesOptions,
  readFrames,
  runAsync,
  type StorageIo,
} from '@walstack/storage-io';
import { expect, onTestFinished } from 'vitest';
import { backends } from './backends.js';

/** A fresh backend of this name, and the path of a file that is not there yet; both go when the test has ended. */
export function fresh(name: string): { io: StorageIo; path: string } {
  const { io, directory, destroy } = (backends[name] as (typeof backends)[string])();
  onTestFinished(async () => {
    await io.dispose();
    destroy?.();
  });
  return { io, path: `${directory}/file` };
}

/** The names of all backends. */
export const names = Object.keys(backends);

/** Those that can wait, and those that have direct I/O here. */
export const waiting = names.filter((name) => asked(name, (io) => io.capabilities.canWait));
export const direct = names.filter((name) => asked(name, (io, path) => directAlignmentOf(io, path) > 1));

/** What direct I/O of a new file wants; 1 where it is refused. */
export function directAlignmentOf(io: StorageIo, path: string): number {
  const file = io.open(path, { create: true, direct: true });
  io.close(file);
  return file.alignment;
}

function asked(name: string, question: (io: StorageIo, path: string) => boolean): boolean {
  const { io, directory, destroy } = (backends[name] as (typeof backends)[string])();
  try {
    return question(io, `${directory}/file`);
  } finally {
    void io.dispose();
    destroy?.();
  }
}

/** All that is in a file. */
export function contentOf(io: StorageIo, path: string): Promise<Buffer> {
  return runAsync(io, reading(io, path));
}

function* reading(io: StorageIo, path: string): IoRoutine<Buffer> {
  const file = io.open(path);
  try {
    const bytes = Buffer.alloc(io.size(file));
    yield* ioSteps.read(io, file, bytes, 0);
    return bytes;
  } finally {
    io.close(file);
  }
}

/** Makes a file with this content. */
export function makeFile(io: StorageIo, path: string, content: Uint8Array): Promise<void> {
  return runAsync(io, making(io, path, content));
}

function* making(io: StorageIo, path: string, content: Uint8Array): IoRoutine<void> {
  const file = io.open(path, { create: true, truncate: true });
  try {
    yield* ioSteps.write(io, file, content, 0);
  } finally {
    io.close(file);
  }
}

/** What the frames of a file hold, as text. */
export async function textsOf(path: string, options: ReadFramesOptions): Promise<string[]> {
  const found: string[] = [];
  for await (const { data } of readFrames(path, options)) found.push(Buffer.from(data).toString());
  return found;
}

/** The operations that a writer has submitted from one moment to another. */
export function submissionsOf(writer: PortableWalWriter): () => number {
  const before = writer.stats().submitted;
  return () => writer.stats().submitted - before;
}

/** Matches an error by its code and facts. */
export const failure = (code: string, facts: object = {}): unknown => expect.objectContaining({ code, ...facts });
