import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** How a {@link ForgetFs} is mounted. */
export interface ForgetFsOptions {
  /** Every file is opened past the page cache, whatever its flags. Default `false`. */
  readonly directIo?: boolean;
  /** Direct I/O is carried out side by side, as libfuse has it. Default `true`. */
  readonly asyncDirect?: boolean;
  /** The kernel keeps what is written and writes it back later. Default `false`. */
  readonly writeback?: boolean;
  /** A write with `O_DSYNC` is durable. Default `false`. */
  readonly honourDsync?: boolean;
  /** Reserving a range works. Default `true`. */
  readonly fallocate?: boolean;
  /** What locks of open files fail with, such as `'ENOSYS'`; without it they work. */
  readonly locks?: string;
}

/** What a {@link ForgetFs} counts and what rules may be about. */
type ForgetFsOperation =
  | 'open'
  | 'create'
  | 'read'
  | 'write'
  | 'truncate'
  | 'allocate'
  | 'fsync'
  | 'fdatasync'
  | 'fsyncdir'
  | 'flush'
  | 'rename'
  | 'unlink'
  | 'mkdir'
  | 'rmdir'
  | 'link'
  | 'list'
  | 'lock';

/** Which operations a rule is about: the `nth` from now on that matches, and `times - 1` behind it. */
export interface ForgetFsRule {
  readonly operation: ForgetFsOperation | 'sync' | 'any';
  /** Default 1. */
  readonly nth?: number;
  /** Default 1; 0 for ever. */
  readonly times?: number;
  /** Of the file's name, as the shell has them. Default: every name. */
  readonly pattern?: string;
}

/** How often each operation has reached the file system. */
interface ForgetFsCounts extends Readonly<Record<ForgetFsOperation, number>> {
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** Writes that came with `O_DSYNC`. */
  readonly dsyncWrites: number;
}

/** The same of one file. */
interface ForgetFsFileCounts extends ForgetFsCounts {
  /** Changes of its bytes that no sync has made durable. */
  readonly unsynced: number;
  /** Changes that a sync which was made to fail has lost. */
  readonly lost: number;
}

/** What the control file says. */
export interface ForgetFsReport {
  readonly total: ForgetFsCounts;
  /** By path below the mount. */
  readonly files: Readonly<Record<string, ForgetFsFileCounts>>;
  readonly unsyncedNames: number;
  /** Rules that wait for their operation. */
  readonly rules: number;
  readonly cut: boolean;
}

/** Seen from this file, and from the commands that it is bundled into. */
const SOURCE = ['../../fuse/forgetfs.c', '../fuse/forgetfs.c']
  .map((path) => fileURLToPath(new URL(path, import.meta.url)))
  .find(existsSync);

/** Compiles the file system, once for each version of it. Returns the path of the program. @throws why it cannot be */
function build(): string {
  if (SOURCE === undefined) throw new Error('its source is not there');
  const source = readFileSync(SOURCE);
  const name = `walstack-forgetfs-${createHash('sha256').update(source).digest('hex').slice(0, 16)}`;
  const program = join(tmpdir(), name);
  if (existsSync(program)) return program;
  const flags = spawnSync('pkg-config', ['--cflags', '--libs', 'fuse3'], { encoding: 'utf8' });
  if (flags.status !== 0) throw new Error('libfuse 3 is not installed for building');
  const draft = `${program}.${process.pid}`;
  const options = ['-O2', '-Wall', '-o', draft, SOURCE, ...flags.stdout.trim().split(/\s+/)];
  const compiled = spawnSync('cc', options, { encoding: 'utf8' });
  if (compiled.status !== 0) throw new Error(`it does not compile: ${compiled.error?.message ?? compiled.stderr}`);
  renameSync(draft, program);
  return program;
}

/**
 * A FUSE file system that passes through to a directory, counts what reaches it, fails, shortens and delays operations, and
 * forgets what was not synced. `fuse/forgetfs.c` says what each of it means.
 */
export class ForgetFs {
  /** Where it is mounted. */
  readonly path: string;
  /** Its files in the directory underneath: with what is not synced, until that is forgotten. */
  readonly files: string;
  readonly #base: string;
  #process: ChildProcessByStdio<null, Readable, Readable> | undefined;

  private constructor(base: string) {
    this.#base = base;
    this.path = join(base, 'mount');
    this.files = join(base, 'state', 'files');
  }

  /** Mounts it, empty, in a directory of its own. */
  static async mount(options: ForgetFsOptions = {}): Promise<ForgetFs> {
    const fs = new ForgetFs(mkdtempSync(join(tmpdir(), 'walstack-forgetfs-')));
    mkdirSync(join(fs.#base, 'state'));
    mkdirSync(fs.path);
    try {
      await fs.#start(options);
    } catch (error) {
      rmSync(fs.#base, { recursive: true, force: true });
      throw error;
    }
    return fs;
  }

  /** Unmounts it and mounts it again with what is there: after {@link cut} the machine has been turned on again. */
  async remount(options: ForgetFsOptions = {}): Promise<void> {
    await this.#stop();
    await this.#start(options);
  }

  /** Unmounts it, even when files are open, and removes everything. */
  async unmount(): Promise<void> {
    await this.#stop();
    rmSync(this.#base, { recursive: true, force: true });
  }

  /** Writes a line to the control file. */
  control(line: string): void {
    writeFileSync(join(this.path, '.control'), `${line}\n`);
  }

  /** @param code - such as `'EIO'` */
  fail(code: string, rule: ForgetFsRule): void {
    this.#rule('fail', code, rule);
  }

  /** Has operations move so many bytes only. */
  short(bytes: number, rule: ForgetFsRule): void {
    this.#rule('short', bytes, rule);
  }

  /** Has operations begin so much later. */
  delay(ms: number, rule: ForgetFsRule): void {
    this.#rule('delay', ms, rule);
  }

  /** Forgets all rules. */
  clear(): void {
    this.control('clear');
  }

  /** Counts from 0 again. */
  reset(): void {
    this.control('reset');
  }

  /** Takes the power away: what was not synced is forgotten, and everything fails until it is mounted again. */
  cut(): void {
    this.control('cut');
  }

  report(): ForgetFsReport {
    return JSON.parse(readFileSync(join(this.path, '.control'), 'utf8')) as ForgetFsReport;
  }

  #rule(verb: string, value: string | number, rule: ForgetFsRule): void {
    const { operation, nth = 1, times = 1, pattern = '*' } = rule;
    this.control(`${verb} ${operation} ${nth} ${value} ${times} ${pattern}`);
  }

  async #start(options: ForgetFsOptions): Promise<void> {
    const { directIo, asyncDirect = true, writeback, honourDsync, fallocate = true, locks } = options;
    const flags = [
      ...(directIo ? ['--direct-io'] : []),
      ...(asyncDirect ? [] : ['--no-async-direct']),
      ...(writeback ? ['--writeback'] : []),
      ...(honourDsync ? ['--honour-dsync'] : []),
      ...(fallocate ? [] : ['--no-fallocate']),
      ...(locks === undefined ? [] : [`--locks=${locks}`]),
    ];
    const started = spawn(build(), [...flags, join(this.#base, 'state'), this.path], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    started.stderr.on('data', (text) => {
      errors += String(text);
    });
    for await (const line of createInterface({ input: started.stdout })) {
      if (line !== 'mounted') continue;
      this.#process = started;
      // The process of a test that has ended otherwise need not wait for it.
      started.unref();
      return;
    }
    throw new Error(`forgetfs was not mounted: ${errors.trim()}`);
  }

  async #stop(): Promise<void> {
    const running = this.#process;
    this.#process = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    running.ref();
    const gone = once(running, 'exit');
    running.kill('SIGTERM');
    await gone;
  }
}

/** Why no {@link ForgetFs} can be mounted here, in one sentence; `undefined` when one can. Mounts one to find out. */
export async function forgetFsUnavailable(): Promise<string | undefined> {
  try {
    accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
    await (await ForgetFs.mount()).unmount();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
