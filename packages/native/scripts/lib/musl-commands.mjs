import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { packageFolder } from './sources.mjs';

/**
 * The folders in which a compiler looks for headers, without those of its own C library: the headers of C++, and its own.
 *
 * @param {string} compiler
 */
const headersWithoutLibrary = (compiler) => {
  const { stderr } = spawnSync(compiler, ['-E', '-x', 'c++', '-v', '/dev/null', '-o', '/dev/null'], {
    encoding: 'utf8',
    env: { ...process.env, LC_ALL: 'C' },
  });
  const [, list = ''] = /search starts here:\n([^#]*)End of search list/.exec(stderr) ?? [];
  const folders = list.split('\n').map((line) => line.trim());
  return {
    ofLanguage: folders.filter((folder) => folder.includes('/c++/')),
    ofCompiler: folders.filter((folder) => /\/lib\/gcc[^/]*\/[^/]+\/\d+\/include$/.test(folder)),
  };
};

/**
 * A folder with the headers of the kernel alone: where Debian has them, those of glibc are beside them.
 *
 * @param {string} triple
 */
const kernelHeaders = (triple) => {
  const folder = join(packageFolder, 'build', `kernel-headers-${triple}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const places = [`/usr/${triple}/include`, `/usr/include/${triple}`, '/usr/include'];
  for (const name of ['linux', 'asm', 'asm-generic']) {
    const place = places.find((candidate) => existsSync(join(candidate, name)));
    if (place === undefined) throw new Error(`there are no headers of the kernel for ${triple}`);
    symlinkSync(join(place, name), join(folder, name));
  }
  return folder;
};

/**
 * The commands of a compiler for glibc that make a library for musl: Debian has no compiler of C++ for it. What the addon
 * uses of C++ is in headers; its `new` and `delete` are its own.
 *
 * @param {string} compiler
 * @param {string} triple the compiler's name for the platform
 * @param {string} machine its name for the processor
 */
export const muslCommands = (compiler, triple, machine) => {
  const { ofLanguage, ofCompiler } = headersWithoutLibrary(compiler);
  const folders = [...ofLanguage, `/usr/include/${machine}-linux-musl`, ...ofCompiler, kernelHeaders(triple)];
  const headers = folders.map((folder) => `-isystem ${folder}`).join(' ');
  // By default the compiler has its own library choose the instructions of atomics; there is none here.
  const atomics = machine === 'aarch64' ? '-mno-outline-atomics ' : '';
  return {
    // The headers of C++ ask for the version of glibc, of which musl's headers know nothing.
    compiler: `${compiler} ${atomics}-nostdinc ${headers} -D'__GLIBC_PREREQ(major,minor)=0'`,
    linker: `${compiler} -nostartfiles -nodefaultlibs -L/usr/lib/${machine}-linux-musl -Wl,--no-as-needed -lc`,
  };
};
