import { resolve } from 'node:path';
import { integerOf, numberOf, parseOptions, seedOf, wordOf } from '../command-line.js';
import { BACKEND_NAMES } from '../torture/backends.js';
import { FILE_SYSTEMS, type FileSystem } from './file-systems.js';

const DISKS = ['fua', 'no-fua'] as const;

/** Whether the guest's disk takes writes that are durable when they complete. */
export type DiskKind = (typeof DISKS)[number];

const CONTROLS = ['none', 'careless', 'ignore-fua', 'ignore-flush'] as const;

/** What is wrong on purpose, so that something has to be lost. */
type Control = (typeof CONTROLS)[number];

const IMAGES = 200;
const RUNS = 2;
const SECONDS = 30;

export const HELP = `Cuts the power of an emulated machine that writes logs to a real file system, at thousands of moments of one run: its disk is
served and recorded here, and images of it are made of what was durable at a moment and of some of the rest. Each is mounted, and
the logs on it are opened and compared with what had been acknowledged.

Needs Linux on x86-64, root, loop devices, the mkfs of the file systems, QEMU, a static busybox, a C compiler, and a kernel for
the guest. On Debian: apt-get install qemu-system-x86 busybox-static xfsprogs btrfs-progs; apt-get download
linux-image-VERSION-cloud-amd64; dpkg-deb -x linux-image-*.deb DIR

  pnpm powercut --kernel DIR         every file system, every backend, disks with and without FUA

  --kernel DIR         where the package of the kernel was unpacked, or / where it is installed (default /)
  --file-system TYPE   one of ${FILE_SYSTEMS.join(', ')}, or all (default all)
  --backend NAME       one of ${BACKEND_NAMES.join(', ')}, or all (default all)
  --disk KIND          ${DISKS.join(' or ')}, or all (default all): whether it takes writes that are durable by themselves
  --mount-options TEXT what the guest mounts its disk with, such as nodatasum (default rw)
  --images N           images of each combination of these (default ${IMAGES})
  --runs N             runs of a guest for each, one after the other: each begins with the disk of the one before, cut
                       (default ${RUNS})
  --seconds N          how long a guest writes (default ${SECONDS})
  --control HOW        one of ${CONTROLS.join(', ')}: logs that acknowledge what was flushed only, or a disk that
                       ignores FUA or FLUSH; ends with exit code 1 when nothing is lost then
  --seed S             of everything that is left to chance but the moments of a machine (default a fresh one, which is printed)
  --data DIR           for records and images, best in memory (default /dev/shm, where that is, or a temporary directory)
  --record DIR         no guest: images of this record, which a run has left because something was wrong
  --image N            only this image of the record
  --help               this text`;

/** What to do. */
export interface Arguments {
  readonly kernel: string;
  readonly fileSystems: readonly FileSystem[];
  readonly backends: readonly string[];
  readonly disks: readonly DiskKind[];
  readonly mountOptions: string;
  readonly images: number;
  readonly runs: number;
  readonly seconds: number;
  readonly control: Control;
  readonly seed: number;
  readonly data: string | undefined;
  readonly record: string | undefined;
  readonly image: number | undefined;
}

/** Reads the command line; `undefined` when help was asked for. @throws {UsageError} */
export function readArguments(argv: readonly string[], standing: string): Arguments | undefined {
  const names = ['kernel', 'file-system', 'backend', 'disk', 'images', 'runs', 'seconds', 'control'] as const;
  const given = parseOptions(argv, [...names, 'mount-options', 'seed', 'data', 'record', 'image']);
  if (given.help === true) return undefined;
  const path = (text: string | undefined): string | undefined =>
    text === undefined ? undefined : resolve(standing, text);
  const wordsOf = <Word extends string>(name: (typeof names)[number], words: readonly Word[]): readonly Word[] => {
    const word = wordOf(name, given[name] ?? 'all', ['all', ...words]);
    return word === 'all' ? words : [word as Word];
  };
  return {
    kernel: path(given.kernel) ?? '/',
    fileSystems: wordsOf('file-system', FILE_SYSTEMS),
    backends: wordsOf('backend', BACKEND_NAMES),
    disks: wordsOf('disk', DISKS),
    mountOptions: given['mount-options'] ?? 'rw',
    images: given.images === undefined ? IMAGES : integerOf('images', given.images, 1),
    runs: given.runs === undefined ? RUNS : integerOf('runs', given.runs, 1),
    seconds: given.seconds === undefined ? SECONDS : numberOf('seconds', given.seconds, 0),
    control: wordOf('control', given.control ?? 'none', CONTROLS),
    seed: seedOf(given.seed),
    data: path(given.data),
    record: path(given.record),
    image: given.image === undefined ? undefined : integerOf('image', given.image, 0),
  };
}
