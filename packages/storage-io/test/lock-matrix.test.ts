import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fileLocksUnavailableReason } from '@walstack/native';
import { lockPath } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { type Kind, killAll, LockingProcess } from './locking-process.js';

const THREADS = fileURLToPath(new URL('lock-threads.mjs', import.meta.url));

const onLinux = process.platform === 'linux';
const withAddon = fileLocksUnavailableReason === undefined;

/** A command that starts another one in a process id namespace of its own, as a container does. */
const CONTAINER = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child=SIGKILL'];
/** The same with a boot id of its own, as LXC and systemd-nspawn give one. */
const WITH_BOOT_ID = [
  ...CONTAINER.slice(0, -2),
  '--mount-proc',
  '--kill-child=SIGKILL',
  'sh',
  '-c',
  'f=$(mktemp) && cat /proc/sys/kernel/random/uuid > $f && mount --bind $f /proc/sys/kernel/random/boot_id && rm $f && exec "$@"',
  'sh',
];
const hasContainers = onLinux && spawnSync('unshare', [...CONTAINER.slice(1), 'true']).status === 0;

/** A process id namespace of its own, in which `/proc` goes on showing the processes outside. */
const WITH_FOREIGN_PROC = ['unshare', '--pid', '--fork', '--kill-child=SIGKILL'];
/** One where there is no `/proc`. */
const WITHOUT_PROC = [...WITH_FOREIGN_PROC, '--mount', 'sh', '-c', 'umount -l /proc && exec "$@"', 'sh'];
/** One of the host's, where the machine was started at another time. */
const WITH_OTHER_CLOCK = ['unshare', '--time', '--boottime', '100000'];
const hasClocks = hasContainers && spawnSync('unshare', [...WITH_OTHER_CLOCK.slice(1), 'true']).status === 0;

const kinds: Kind[] = withAddon ? ['with addon', 'without addon'] : ['without addon'];
const pairs = kinds.flatMap((holder) => kinds.map((other) => ({ holder, other })));

/** What a process is started by; `undefined` for nothing. */
type Wrapper = readonly string[] | undefined;

let temporary: ReturnType<typeof removableDirectory>;
let path: string;

beforeEach(() => {
  temporary = removableDirectory();
  path = `${temporary.directory}/LOCK`;
});

afterEach(async () => {
  await killAll();
  temporary.destroy();
});

/** A process that has locked `path`. */
async function holding(kind: Kind, wrapper?: readonly string[]): Promise<LockingProcess> {
  const holder = LockingProcess.start(path, kind, wrapper);
  expect(await holder.told()).toMatchObject({ locked: true });
  return holder;
}

/** The lock is released, and the process that was refused takes it. */
async function handOver(holder: LockingProcess, refused: LockingProcess): Promise<void> {
  holder.say('release');
  await holder.told();
  refused.say('lock');
  expect(await refused.told()).toMatchObject({ locked: true });
}

/** A holder in one container keeps out a process in another one, or outside of any, and hands over to it. */
async function excludesAcross(
  holderKind: Kind,
  other: Kind,
  containers: readonly (readonly [holder: Wrapper, other: Wrapper])[],
): Promise<void> {
  for (const [outer, inner] of containers) {
    const holder = await holding(holderKind, outer);
    const refused = LockingProcess.start(path, other, inner);
    expect(await refused.told()).toMatchObject({ locked: false, code: 'WAL_LOCKED' });
    await handOver(holder, refused);
    await refused.killed();
    await holder.killed();
    unlinkSync(path);
  }
}

describe.each(pairs)('a holder $holder, and one $other who wants the lock', ({ holder: holderKind, other }) => {
  it('is refused while the holder is alive, with the holder in the error', async () => {
    const holder = await holding(holderKind);
    for (let round = 0; round < 2; round++) {
      const refused = LockingProcess.start(path, other);
      expect(await refused.told()).toMatchObject({
        locked: false,
        code: 'WAL_LOCKED',
        reason: 'held',
        holder: `process ${holder.process.pid}`,
      });
      await refused.killed();
    }
    // Being asked for has not loosened it.
    holder.say('release');
    expect(await holder.told()).toMatchObject({ released: true });
    await holding(other);
  });

  it('gets it at once when the holder has released it and stays alive, repeatedly in both directions', async () => {
    const [one, two] = [await holding(holderKind), LockingProcess.start(path, other)];
    expect((await two.told()).locked).toBe(false);
    for (const [from, to] of [
      [one, two],
      [two, one],
      [one, two],
    ] as const) {
      from.say('release');
      expect(await from.told()).toMatchObject({ released: true });
      to.say('lock');
      expect(await to.told()).toMatchObject({ locked: true });
      from.say('lock');
      expect(await from.told()).toMatchObject({ locked: false, holder: `process ${to.process.pid}` });
    }
  });

  it('gets it at once when the holder was killed', async () => {
    const holder = await holding(holderKind);
    await holder.killed();
    const next = await holding(other);
    await next.killed();
    await holding(holderKind);
  });

  it('gets it at once when the holder ended without releasing it', async () => {
    const holder = await holding(holderKind);
    await holder.exited();
    await holding(other);
  });

  it.runIf(onLinux)('in another thread of one process is refused until the first has ended', async () => {
    const flags = [holderKind, other].map((kind) => (kind === 'with addon' ? '' : '0'));
    const { stdout } = await promisify(execFile)(process.execPath, [THREADS, path, ...flags]);
    const [first, second, third] = JSON.parse(stdout);
    expect(first).toEqual({ locked: true });
    expect(second).toMatchObject({ locked: false, code: 'WAL_LOCKED', reason: 'held' });
    expect(second.message).toContain('held by this process');
    expect(third).toEqual({ locked: true });
  });

  it.runIf(hasContainers)('in another container is refused while the holder lives', async () => {
    const inside = await holding(holderKind, CONTAINER);
    const refused = LockingProcess.start(path, other);
    const byKernel = holderKind === 'with addon' && other === 'with addon';
    expect(await refused.told()).toMatchObject({
      locked: false,
      code: 'WAL_LOCKED',
      reason: byKernel ? 'held' : 'held-elsewhere',
      holder: 'process 1',
    });
    await handOver(inside, refused);
  });

  it.runIf(hasContainers)(
    'in another container with a boot id of its own is refused while the holder lives',
    async () => {
      await excludesAcross(holderKind, other, [
        [undefined, WITH_BOOT_ID],
        [WITH_BOOT_ID, undefined],
        [WITH_BOOT_ID, WITH_BOOT_ID],
      ]);
    },
  );

  it.runIf(hasContainers)('is refused where /proc shows other processes under the same numbers', async () => {
    for (const proc of [WITH_FOREIGN_PROC, CONTAINER]) {
      const holder = await holding(holderKind, proc);
      const namespace = `/proc/${holder.process.pid}/ns/pid_for_children`;
      // With its own namespace of mounts a holder has a /proc of its own, and the other one still that of the host.
      const refused = LockingProcess.start(path, other, ['nsenter', `--pid=${namespace}`]);
      expect(await refused.told()).toMatchObject({ locked: false, code: 'WAL_LOCKED', reason: 'held' });
      await handOver(holder, refused);
      await refused.exited();
      holder.say('lock');
      expect(await holder.told()).toMatchObject({ locked: true });
      await holder.killed();
      unlinkSync(path);
    }
  });

  it.runIf(hasContainers)('is refused in a container without /proc, and so is one outside of it', async () => {
    await excludesAcross(holderKind, other, [
      [undefined, WITHOUT_PROC],
      [WITHOUT_PROC, undefined],
      [WITHOUT_PROC, WITHOUT_PROC],
    ]);
  });

  it.runIf(hasClocks)('is refused in another time namespace', async () => {
    for (const [outer, inner] of [
      [undefined, WITH_OTHER_CLOCK],
      [WITH_OTHER_CLOCK, undefined],
    ]) {
      const holder = await holding(holderKind, outer);
      const refused = LockingProcess.start(path, other, inner);
      expect(await refused.told()).toMatchObject({ locked: false, code: 'WAL_LOCKED', reason: 'held' });
      await holder.killed();
      refused.say('lock');
      expect(await refused.told()).toMatchObject({ locked: true });
      await refused.killed();
    }
  });

  it.runIf(hasContainers)('in another container has it when the kernel knows that the holder is gone', async () => {
    const inside = await holding(holderKind, CONTAINER);
    await inside.killed();
    // unshare is gone; the process in its namespace goes with it, and the kernel takes a moment for it.
    while (stillRunning(path)) await new Promise((resolve) => setTimeout(resolve, 5));
    const next = LockingProcess.start(path, other);
    const byKernel = holderKind === 'with addon' && other === 'with addon';
    expect(await next.told()).toMatchObject(byKernel ? { locked: true } : { reason: 'held-elsewhere' });
  });
});

/** Whether a process has this path among its arguments. */
function stillRunning(argument: string): boolean {
  return readdirSync('/proc').some((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(argument);
    } catch {
      return false;
    }
  });
}

describe.each(kinds.map((kind) => ({ kind })))('a holder $kind', ({ kind }) => {
  it('is refused what it has itself, in the same thread, and keeps it', async () => {
    const holder = await holding(kind);
    for (let round = 0; round < 2; round++) {
      holder.say('lock');
      expect(await holder.told()).toMatchObject({ locked: false, code: 'WAL_LOCKED', reason: 'held' });
    }
    const other = LockingProcess.start(path, kind);
    expect(await other.told()).toMatchObject({ locked: false });
    holder.say('release');
    await holder.told();
    holder.say('lock');
    expect(await holder.told()).toMatchObject({ locked: true });
  });
});

describe.runIf(withAddon)('the lock with the addon', () => {
  /** What a lock file says that this process holds, with changes. */
  function content(changes: Record<string, unknown>): string {
    const sample = `${path}.sample`;
    const release = lockPath(sample);
    const fields = JSON.parse(readFileSync(sample, 'utf8'));
    release();
    return JSON.stringify({ ...fields, ...changes }).padEnd(512);
  }

  it('is free when the lock of the kernel is free, whatever holder the file names', () => {
    writeFileSync(path, content({}));
    lockPath(path)();
    writeFileSync(path, content({ pidNamespace: 'pid:[1]' }));
    lockPath(path)();
  });

  it('is held by a living holder that has no addon', () => {
    const written = content({ kernelLock: false });
    writeFileSync(path, written);
    expect(() => lockPath(path)).toThrow(/is held by this process/);
    expect(readFileSync(path, 'utf8')).toBe(written);
  });

  it('removes the takeover file of a holder that was killed in the middle, but of no other', () => {
    const second = `${path}.takeover`;
    const gone = { pid: 0x7fff_ffff, startTime: '', thread: 0 };
    for (const left of [{}, { pidNamespace: 'pid:[1]' }, { kernelLock: false, ...gone }]) {
      writeFileSync(second, content(left));
      lockPath(path)();
      expect(existsSync(second)).toBe(false);
    }
    for (const left of [content({ kernelLock: false }), content({ kernelLock: false, pidNamespace: 'pid:[1]' }), '']) {
      writeFileSync(second, left);
      expect(() => lockPath(path)).toThrow(expect.objectContaining({ code: 'WAL_LOCKED', reason: 'taking-over' }));
      expect(readFileSync(second, 'utf8')).toBe(left);
    }
  });

  it('leaves no file open', () => {
    const openFiles = (): number => readdirSync('/proc/self/fd').length;
    lockPath(path)();
    const before = openFiles();
    for (let round = 0; round < 20; round++) {
      const release = lockPath(path);
      expect(() => lockPath(path)).toThrow(/is held/);
      release();
      writeFileSync(path, content({ kernelLock: false }));
      expect(() => lockPath(path)).toThrow(/is held/);
      writeFileSync(path, '');
    }
    expect(openFiles()).toBe(before);
  });
});
