import { closeSync, constants, fstatSync, openSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What is known of the file system that a file lies on. */
export interface FileSystem {
  /** Its type, as the system names it: `'ext4'`, `'overlay'`, `'nfs4'`, `'fuse.sshfs'` … */
  readonly type: string;
  /**
   * Whether asynchronous direct writes that are to be durable were shown to be so on it. Where they were not, a backend
   * carries a durable write out as a write and a datasync.
   */
  readonly durableWrites: boolean;
  /** What a log on it cannot rely on, as the end of a sentence that begins with what lies on it. */
  readonly caution?: string;
}

/** A line of the table of mounts. */
interface Mount {
  readonly type: string;
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly path: string;
  readonly options: readonly string[];
}

/** Where it was tried: docs/durability.md has the table. */
const DURABLE_WRITES: ReadonlySet<string> = new Set(['ext4', 'xfs']);

const NETWORK: ReadonlySet<string> = new Set([
  ...['9p', 'acfs', 'afs', 'beegfs', 'ceph', 'cifs', 'coda', 'davfs', 'gfs', 'gfs2', 'glusterfs', 'gpfs', 'lustre'],
  ...['ncpfs', 'nfs', 'nfs4', 'ocfs2', 'orangefs', 'prl_fs', 'pvfs2', 'smb2', 'smb3', 'smbfs', 'vboxsf', 'virtiofs'],
]);

const MEMORY: ReadonlySet<string> = new Set(['tmpfs', 'ramfs', 'rootfs']);

/** An overlay of an overlay is looked through, one that leads in a circle is not. */
const OVERLAYS_MOST = 4;

/** What is known of the file system of a path; `undefined` on other platforms than Linux, and without `/proc`. */
export function fileSystemOfPath(path: string): FileSystem | undefined {
  return ofOpened(path, (fd) => fileSystemOf(fd));
}

/** The same of an open file: of the mount by which it was opened, whatever is mounted there by now. */
export function fileSystemOf(fd: number): FileSystem | undefined {
  const mount = attempted(() => mountOf(fd));
  if (mount === undefined) return undefined;
  const stored = storedOn(fd, mount, OVERLAYS_MOST);
  const caution = cautionOf(mount, stored);
  return Object.freeze({
    type: mount.type,
    durableWrites: stored !== undefined && DURABLE_WRITES.has(stored.type),
    ...(caution === undefined ? {} : { caution }),
  });
}

/** The mount that the bytes of an open file are on: that of the upper directory of an overlay. */
function storedOn(fd: number, mount: Mount, overlaysMost: number): Mount | undefined {
  if (mount.type !== 'overlay') return mount;
  const upper = mount.options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
  if (upper === undefined || overlaysMost === 0) return undefined;
  return attempted(() => {
    const path = join(upper, mount.root, relative(mount.path, readlinkSync(`/proc/self/fd/${fd}`)));
    const [seen, found] = [fstatSync(fd, { bigint: true }), statSync(path, { bigint: true })];
    // The upper directory may be hidden from this process, and another one stand at its path: what is there has to be
    // the same file. A directory has a number of its own in an overlay.
    const same = seen.ino === found.ino && seen.size === found.size && seen.ctimeNs === found.ctimeNs;
    if (!same && !(seen.isDirectory() && found.isDirectory())) return undefined;
    return ofOpened(path, (below) => {
      const under = mountOf(below);
      return under === undefined ? undefined : storedOn(below, under, overlaysMost - 1);
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

/** The mount by which a file was opened. */
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
    // A comma that belongs to a path is escaped.
    options: options.split(/(?<!\\),/).map((option) => unescaped(option.replaceAll('\\,', ','))),
  };
}

/** Blanks and the like stand there as octal numbers. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Opens a file or directory for a look at its mount. `undefined` where that fails. */
function ofOpened<T>(path: string, look: (fd: number) => T | undefined): T | undefined {
  return attempted(() => {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return look(fd);
    } finally {
      closeSync(fd);
    }
  });
}

/** What cannot be found out is not known. */
function attempted<T>(look: () => T | undefined): T | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return look();
  } catch {
    return undefined;
  }
}
