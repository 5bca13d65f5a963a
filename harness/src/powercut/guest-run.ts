import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../random.js';
import { SparseImage } from './cut/sparse-image.js';
import { ServedDisk } from './disk/served-disk.js';
import { LogLines } from './guest/log-lines.js';
import { Machine } from './guest/machine.js';
import { jobOf } from './logs.js';
import { baseOf, type RecordFacts, writeFacts } from './record/disk-record.js';
import { Recorder } from './record/recorder.js';
import type { GuestParts } from './requirements.js';

/** A guest that is to be recorded. */
export interface GuestRun {
  /** Has the base image, and gets the record. */
  readonly folder: string;
  readonly facts: RecordFacts;
  readonly parts: GuestParts;
  /** The path of the guest's first file system. */
  readonly initramfs: string;
  /** Whether its disk takes writes that are durable when they complete. */
  readonly fua: boolean;
  /** What the disk is mounted with. */
  readonly mountOptions: string;
  /** How long its logs are written. */
  readonly seconds: number;
  readonly say: (line: string) => void;
}

/** Emulation takes its time, and longer where others are at work. */
const BOOT_SECONDS = 180;
const TRIES = 4;

/** Where the disk of the guest is mounted, in the guest. */
const DISK = '/disk';

/** Has a guest write its logs, and cuts its power. What it did is in the folder then. @throws when there are no logs */
export async function recordGuest(run: GuestRun): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await recordOnce(run);
    } catch (error) {
      // Emulators crash or hang now and then while a guest boots.
      if (tries === TRIES) throw error;
      run.say((error as Error).message);
    }
  }
}

async function recordOnce({ folder, facts, parts, initramfs, ...given }: GuestRun): Promise<void> {
  const image = join(folder, 'disk.image');
  const base = SparseImage.open(baseOf(folder));
  base.copyTo(image).close();
  base.close();
  writeFacts(folder, facts);
  const recorder = new Recorder(folder);
  const disk = new ServedDisk(image, recorder, new Random(facts.seed));
  const run = facts.history.length + 1;
  const lines = new LogLines(
    facts.logs.map((plan) => jobOf(plan, DISK, run)),
    recorder,
  );
  const console = join(folder, 'console');
  const machine = new Machine({
    qemu: parts.qemu,
    kernel: parts.kernel.image,
    initramfs,
    console,
    words: {
      disk_port: await disk.listen(),
      logs_port: await lines.listen(),
      disk_bytes: base.bytes,
      disk_fua: given.fua ? 1 : 0,
      disk_options: given.mountOptions,
      disk_type: facts.fileSystem,
      disk_logs: facts.logs.length,
    },
  });
  const giveUp = new AbortController();
  void machine.ended.then(() => lines.close());
  try {
    const talking = lines.allTalk.then(() => true);
    const late = sleep(BOOT_SECONDS * 1000, false, { signal: giveUp.signal }).catch(() => false);
    if (!(await Promise.race([talking, machine.ended.then(() => false), late]))) {
      const said = readFileSync(console, 'utf8').slice(-4000).trim();
      throw new Error(
        `the guest has not come up: ${lines.silent} logs silent, ${recorder.count} events; it said: ${said}`,
      );
    }
    await Promise.race([
      sleep(given.seconds * 1000, undefined, { signal: giveUp.signal }).catch(() => {}),
      machine.ended,
    ]);
  } finally {
    giveUp.abort();
    disk.close();
    lines.close();
    await machine.cut();
    recorder.close();
    rmSync(image);
  }
}

/** Keeps what a guest boots from in a file. */
export function saveInitramfs(bytes: Uint8Array, folder: string): string {
  const path = join(folder, 'initramfs');
  writeFileSync(path, bytes);
  return path;
}
