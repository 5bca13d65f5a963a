import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { available } from '@walstack/native';
import { beforeEach, describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The binary that the tests of this run use. */
const built = (): Buffer => readFileSync(createRequire(import.meta.url)('node-gyp-build').resolve(root));

interface Loaded {
  readonly available: boolean;
  readonly unavailableReason?: string;
  /** What `crc32c` of `123456789` gives or throws. */
  readonly crc: number | string;
}

/** Nothing but the folder itself says where the binary and its loader are. */
const WITHOUT_HINTS = { NODE_PATH: '', '@WALSTACK/NATIVE_PREBUILD': '' };

/** What another process sees that loads the package from a folder. */
function loadFrom(folder: string, environment: Record<string, string> = {}): Loaded {
  const entry = pathToFileURL(join(folder, 'dist', 'index.js')).href;
  const program = `import { available, crc32c, unavailableReason } from ${JSON.stringify(entry)};
    let crc;
    try { crc = crc32c(Buffer.from('123456789')); } catch ({ code }) { crc = code; }
    console.log(JSON.stringify({ available, unavailableReason, crc }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, ...WITHOUT_HINTS, WALSTACK_NATIVE: '', ...environment },
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

/** Not loaded, for a reason in one sentence; the reason. */
function reasonOf({ available, unavailableReason, crc }: Loaded): string {
  expect([available, crc]).toEqual([false, 'ERR_WALSTACK_NATIVE_UNAVAILABLE']);
  expect(unavailableReason).toMatch(/^The native addon[^\n]+[^.]\.$/);
  return unavailableReason ?? '';
}

const LOADED = { available: true, crc: 0xe3069283 };

describe('the binary of this workspace', () => {
  test('is turned off by WALSTACK_NATIVE=0, and by nothing else', () => {
    expect(reasonOf(loadFrom(root, { WALSTACK_NATIVE: '0' }))).toBe(
      'The native addon is turned off by WALSTACK_NATIVE=0.',
    );
    for (const value of ['', '1', 'false']) {
      const loaded = loadFrom(root, { WALSTACK_NATIVE: value });
      if (loaded.available) expect(loaded).toEqual(LOADED);
      else expect(reasonOf(loaded)).not.toContain('WALSTACK_NATIVE');
    }
  });
});

describe('a package as it is installed', () => {
  let folder: string;

  beforeEach(() => {
    folder = temporaryDirectory();
    cpSync(join(root, 'dist'), join(folder, 'dist'), { recursive: true });
    copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(
      join(root, 'node_modules', 'node-gyp-build'),
      join(folder, 'node_modules', 'node-gyp-build'),
      'junction',
    );
  });

  /** A binary as a release would bring it. */
  const bring = (binary: Buffer | string, name = 'walstack.node'): void => {
    const prebuilds = join(folder, 'prebuilds', `${process.platform}-${process.arch}`);
    mkdirSync(prebuilds, { recursive: true });
    writeFileSync(join(prebuilds, name), binary);
  };

  test('loads without a binary, and reports that there is none', () => {
    const reason = reasonOf(loadFrom(folder));
    expect(reason).toContain(`neither built nor prebuilt for ${process.platform}-${process.arch}`);
    bring('');
    rmSync(join(folder, 'prebuilds'), { recursive: true });
    mkdirSync(join(folder, 'prebuilds', 'aix-ppc64'), { recursive: true });
    expect(reasonOf(loadFrom(folder))).toContain('neither built nor prebuilt');
  });

  test('reports that a binary does not load', () => {
    bring('this is no library');
    expect(reasonOf(loadFrom(folder))).toContain('does not load');
  });

  test('reports that its loader is missing', () => {
    rmSync(join(folder, 'node_modules'), { recursive: true });
    expect(reasonOf(loadFrom(folder))).toContain('node-gyp-build');
  });

  test.runIf(available)('loads the binary that came with it', () => {
    bring(built());
    expect(loadFrom(folder)).toEqual(LOADED);
  });

  test.runIf(available)('chooses by C library, and by the version of the processor', () => {
    const names = ['armv8.glibc', 'armv8.musl', 'glibc', 'musl'].map((tags) => `walstack.${tags}.node`);
    for (const libc of ['glibc', 'musl']) {
      const chosen = process.arch === 'arm64' ? `walstack.armv8.${libc}.node` : `walstack.${libc}.node`;
      for (const name of names) bring(name === chosen ? built() : 'this is no library', name);
      expect(loadFrom(folder, { LIBC: libc })).toEqual(LOADED);
      const other = libc === 'musl' ? 'glibc' : 'musl';
      expect(reasonOf(loadFrom(folder, { LIBC: other }))).toContain('does not load');
    }
  });

  test.runIf(available)('does not call a binary of another version', () => {
    bring(built());
    const entry = join(folder, 'dist', 'index.js');
    const code = readFileSync(entry, 'utf8');
    writeFileSync(entry, code.replace(/(BINDING_VERSION = )\d+/, '$1 0'));
    expect(readFileSync(entry, 'utf8')).not.toBe(code);
    expect(reasonOf(loadFrom(folder))).toContain('another version');
  });

  test('contains nothing that an install would run', () => {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    for (const script of ['preinstall', 'install', 'postinstall']) expect(manifest.scripts).not.toHaveProperty(script);
    expect(manifest.gypfile).toBe(false);
    expect(readdirSync(root)).not.toContain('binding.gyp');
  });
});
