import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PortableWalWriter, readFrames } from '@walstack/storage-io';
import { expect, it } from 'vitest';
import { fresh } from './portable-support.js';

const CHILD = fileURLToPath(new URL('portable-child.mjs', import.meta.url));

/** Backends on real files, as a child process opens them. */
const real = ['sync-fs', 'thread-pool'] as const;

/** Has a child append from frame `first` on, kills it after so many answers, and returns its last one. */
async function appendAndKill(path: string, io: string, first: number, answers: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path, io, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)));
  let acknowledged = first;
  let count = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged = Number(line);
    count++;
    if (count === answers) child.kill('SIGKILL');
  }
  expect(await exited).toBe('SIGKILL');
  return acknowledged;
}

it.each(real)('a killed process loses nothing that was durable, on %s', async (name) => {
  const { path } = fresh(name);
  let next = 0;
  for (const answers of [1, 30, 7, 80, 2]) {
    const acknowledged = await appendAndKill(path, name, next, answers);
    const writer = await PortableWalWriter.open(path, { io: name, framed: true, blockBytes: 512 });
    const frames = writer.recovery?.frames as number;
    expect(frames).toBeGreaterThanOrEqual(acknowledged);
    await writer.close();
    let number = 0;
    for await (const { data } of readFrames(path, { io: name, blockBytes: 512 })) {
      expect(Buffer.from(data).toString()).toBe(`${number}:${'x'.repeat((number * 37) % 700)}`);
      number++;
    }
    expect(number).toBe(frames);
    next = frames;
  }
});
