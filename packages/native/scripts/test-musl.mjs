// `pnpm test:musl`: loads the prebuilt binaries for musl in programs that have musl alone, and has them register their
// functions. The program stands in for Node.js: its Node-API counts the functions and does nothing. A Node.js for musl is
// neither among the packages of npm nor of Debian, so the functions themselves are not called here.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { symbolsOfNode } from './lib/binary-rules.mjs';
import { packageFolder } from './lib/sources.mjs';
import { binaryOf, nameOf, releaseTargets } from './lib/targets.mjs';

const folder = join(packageFolder, 'build', 'musl');

const machines = { x64: 'x86_64', arm64: 'aarch64' };

/** The program in C. @param {string} binary */
const hostFor = (binary) => `#include <dlfcn.h>
#include <stdio.h>

static int functions;

${symbolsOfNode(binary)
  .filter((symbol) => symbol !== 'napi_create_function')
  .map((symbol) => `int ${symbol}(void) { return 0; }`)
  .join('\n')}
int napi_create_function(void) { functions++; return 0; }

int main(int count, char** arguments) {
  void* addon = dlopen(arguments[1], RTLD_NOW);
  if (addon == NULL) {
    puts(dlerror());
    return 1;
  }
  int (*version)(void) = (int (*)(void))dlsym(addon, "node_api_module_get_api_version_v1");
  void* (*initialize)(void*, void*) = (void* (*)(void*, void*))dlsym(addon, "napi_register_module_v1");
  if (version == NULL || initialize == NULL) return 2;
  initialize(NULL, NULL);
  printf("loads, Node-API %d, %d functions\\n", version(), functions);
  return functions > 0 ? 0 : 3;
}
`;

/** @param {string} command @param {string[]} args */
const run = (command, ...args) => {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  return { ok: status === 0, output: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}`.trim() };
};

/** @param {import('./lib/targets.mjs').Target} target */
const test = (target) => {
  const binary = binaryOf(target);
  if (!existsSync(binary)) return { ok: false, output: 'is not there: `pnpm prebuild --all` makes it' };
  const machine = machines[target.arch];
  const host = join(folder, `host-${machine}`);
  writeFileSync(`${host}.c`, hostFor(binary));
  const specs = `/usr/lib/${machine}-linux-musl/musl-gcc.specs`;
  const compiled = run(`${machine}-linux-gnu-gcc`, '-specs', specs, '-rdynamic', '-w', `${host}.c`, '-o', host);
  if (!compiled.ok) return compiled;
  return target.arch === process.arch ? run(host, binary) : run(`qemu-${machine}-static`, host, binary);
};

mkdirSync(folder, { recursive: true });
for (const target of releaseTargets.filter(({ libc }) => libc === 'musl')) {
  const { ok, output } = test(target);
  process.stdout.write(`${nameOf(target)}: ${output}\n`);
  if (!ok) process.exitCode = 1;
}
