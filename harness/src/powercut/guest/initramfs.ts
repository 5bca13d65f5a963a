import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { type CpioEntry, cpioOf } from './cpio.js';
import { GUEST_INIT, GUEST_LOG } from './init.js';
import { type Kernel, modulesFor } from './kernel.js';

/** What the guest needs of its kernel. What is built in needs no module. */
const MODULES = ['virtio_pci', 'virtio_net', 'nbd', 'crc32c_generic', 'crc32c_intel', 'ext4', 'xfs', 'btrfs'];

const PACKAGES = ['codec', 'mmap-reader', 'native', 'percore', 'segmented', 'storage-io', 'wal'];

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;

/** The folder of the harness. This file is one of those in its `dist`. */
const HARNESS = fileURLToPath(new URL('..', import.meta.url));
const ATTACH_SOURCE = join(HARNESS, 'powercut/nbd-attach.c');

/** Files by their place in the guest. */
class Tree {
  readonly #entries = new Map<string, CpioEntry>();

  directory(name: string): void {
    if (name === '.' || this.#entries.has(name)) return;
    this.directory(dirname(name));
    this.#entries.set(name, { name, mode: DIRECTORY, bytes: new Uint8Array(0) });
  }

  file(name: string, bytes: Uint8Array | string): void {
    this.directory(dirname(name));
    this.#entries.set(name, { name, mode: PROGRAM, bytes: Buffer.from(bytes) });
  }

  /** What `filter` takes of a folder of this machine. */
  folder(name: string, from: string, filter: RegExp): void {
    for (const file of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
      const path = join(from, file);
      if (filter.test(file) && statSync(path).isFile()) this.file(join(name, file), readFileSync(path));
    }
  }

  get bytes(): Buffer {
    return cpioOf([...this.#entries.values()]);
  }
}

/** The guest's file system: busybox, Node.js as it runs here, and this workspace as it is built. */
export function initramfsOf(kernel: Kernel, busybox: string): Buffer {
  const tree = new Tree();
  for (const name of ['proc', 'sys', 'dev', 'disk', 'tmp']) tree.directory(name);
  tree.file('bin/busybox', readFileSync(busybox));
  tree.file('bin/nbd-attach', attachProgram());
  addWithLibraries(tree, 'bin/node', process.execPath);
  const modules = modulesFor(kernel, MODULES);
  for (const file of modules) tree.file(`modules/${basename(file)}`, readFileSync(file));
  tree.file('modules/order', `${modules.map((file) => basename(file)).join('\n')}\n`);
  addWorkspace(tree);
  tree.file('init', GUEST_INIT);
  tree.file('log', GUEST_LOG);
  return tree.bytes;
}

function addWorkspace(tree: Tree): void {
  tree.folder('app/dist', join(HARNESS, 'dist'), /\.js$/);
  tree.file('app/package.json', readFileSync(join(HARNESS, 'package.json')));
  for (const name of PACKAGES) {
    const from = realpathSync(join(HARNESS, 'node_modules/@walstack', name));
    tree.folder(`app/node_modules/@walstack/${name}`, from, /^(package\.json|dist\/.*\.js|build\/Release\/\w+\.node)$/);
    if (name !== 'native') continue;
    const finder = realpathSync(join(from, 'node_modules/node-gyp-build'));
    tree.folder('app/node_modules/node-gyp-build', finder, /\.(js|json)$/);
  }
}

/** A program and the libraries that it is linked with, each at its own place. */
function addWithLibraries(tree: Tree, name: string, path: string): void {
  tree.file(name, readFileSync(path));
  const { stdout } = spawnSync('ldd', [path], { encoding: 'utf8' });
  for (const [library] of stdout.matchAll(/\/\S+/g)) tree.file(relative('/', library), readFileSync(library));
}

/** @throws when it does not compile */
function attachProgram(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'walstack-powercut-'));
  try {
    const program = join(folder, 'nbd-attach');
    const { status, error, stderr } = spawnSync('cc', ['-O2', '-static', '-o', program, ATTACH_SOURCE], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`nbd-attach.c does not compile: ${error?.message ?? stderr}`);
    return readFileSync(program);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
