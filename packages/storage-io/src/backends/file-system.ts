import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What is known of the file system that a file lies on. */
export interface FileSystem {
  /** Its type, as the system names it: `'ext4'`, `'overlay'`, `'nfs4'`, `'fuse.sshfs'` … */
  readonly type: string;
  /**
   * Whether durable asynchronous direct writes were shown to be durable on it. Where they were not, a backend carries
   * out a durable write as a write and a datasync.
   */
  readonly durableWrites: boolean;
  /** What a log on it cannot rely on, as the end of a sentence that begins with the path. */
  readonly caution?: string;
}

/** A line of `/proc/self/mountinfo`. */
interface Mount {
  readonly type: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly path: string;
  readonly options: readonly string[];
}

/** File systems whose durable writes were tested: docs/file-systems.md has the table. */
const DURABLE_WRITES: ReadonlySet<string> = new Set(['ext4', 'xfs']);

const NETWORK: ReadonlySet<string> = new Set([
  ...['9p', 'acfs', 'afs', 'beegfs', 'ceph', 'cifs', 'coda', 'davfs', 'gfs', 'gfs2', 'glusterfs', 'gpfs', 'lustre'],
  ...['ncpfs', 'nfs', 'nfs4', 'ocfs2', 'orangefs', 'prl_fs', 'pvfs2', 'smb2', 'smb3', 'smbfs', 'vboxsf', 'virtiofs'],
]);

const MEMORY: ReadonlySet<string> = new Set(['tmpfs', 'ramfs', 'rootfs']);

/** How many overlays above each other are followed, so that a circle of them ends. */
const OVERLAYS_MAX = 4;

/** What is known of the file system of a path; `undefined` on platforms other than Linux, and without `/proc`. */
export function fileSystemOfPath(path: string): FileSystem | undefined {
  return withOpened(path, (fd) => fileSystemOf(fd));
}

/** The same for an open file: for the mount through which it was opened, whatever is mounted there by now. */
export function fileSystemOf(fd: number): FileSystem | undefined {
  const mount = orUndefined(() => mountOf(fd));
  if (mount === undefined) return undefined;
  const stored = backingMount(fd, mount, OVERLAYS_MAX);
  const caution = cautionOf(mount, stored);
  return Object.freeze({
    type: mount.type,
    durableWrites: stored !== undefined && DURABLE_WRITES.has(stored.type),
    ...(caution === undefined ? {} : { caution }),
  });
}

/** The mount that the bytes of an open file are on: that of the upper directory of an overlay. */
function backingMount(fd: number, mount: Mount, overlaysLeft: number): Mount | undefined {
  if (mount.type !== 'overlay') return mount;
  const upper = mount.options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
  if (upper === undefined || overlaysLeft === 0) return undefined;
  return orUndefined(() => {
    const path = join(upper, mount.root, relative(mount.path, readlinkSync(`/proc/self/fd/${fd}`)));
    const [seen, found] = [fstatSync(fd, { bigint: true }), statSync(path, { bigint: true })];
    // The upper directory may be hidden from this process, with another one at its path: so what is there has to be the
    // same file. A directory has an inode number of its own in an overlay, so directories are not compared.
    const same = seen.ino === found.ino && seen.size === found.size && seen.ctimeNs === found.ctimeNs;
    if (!same && !(seen.isDirectory() && found.isDirectory())) return undefined;
    return withOpened(path, (below) => {
      const under = mountOf(below);
      return under === undefined ? undefined : backingMount(below, under, overlaysLeft - 1);
    });
  });
}

function cautionOf(mount: Mount, stored: Mount | undefined): string | undefined {
  const { type } = stored ?? mount;
  if (type === 'fuse' || type === 'fuseblk' || type.startsWith('fuse.')) {
    return `${type}: what its syncs and locks are worth is up to the program behind it`;
  }
  if (NETWORK.has(type)) return `${type}, a network file system: nothing is known of its locks and its syncs`;
  if (MEMORY.has(type)) return `${type}, which lives in memory: nothing survives the machine`;
  if (mount.type === 'overlay' && mount.options.includes('volatile')) {
    return 'an overlay that is volatile: its syncs do nothing';
  }
  if (stored?.options.some((option) => option === 'nobarrier' || option === 'barrier=0')) {
    return `${type} without barriers: what the cache of the disk loses is lost`;
  }
  return undefined;
}

/** The mount through which a file was opened. */
function mountOf(fd: number): Mount | undefined {
  const id = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
  if (id === undefined) return undefined;
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${id} `));
  if (line === undefined) return undefined;
  const [ofMount = '', ofFileSystem = ''] = line.split(' - ');
  const [, , , root = '/', path = '/'] = ofMount.split(' ');
  const [type = '', , options = ''] = ofFileSystem.split(' ');
  return {
    type,
    root: unescaped(root),
    path: unescaped(path),
    // A comma inside a path is escaped.
    options: options.split(/(?<!\\),/).map((option) => unescaped(option.replaceAll('\\,', ','))),
  };
}

/** In mountinfo, blanks and similar characters are written as octal numbers. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Opens a file or directory only to look at its mount. `undefined` where that fails. */
function withOpened<T>(path: string, look: (fd: number) => T | undefined): T | undefined {
  return orUndefined(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return look(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** The result of `look`; `undefined` when it fails: what cannot be found out counts as not known. */
function orUndefined<T>(look: () => T | undefined): T | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return look();
  } catch {
    return undefined;
  }
}
