// Makes the binary that goes into the published package, for the platform, processor and C library of this machine, in
// prebuilds/. For another one, have the compiler and these variables say so: CXX, PREBUILD_ARCH, PREBUILD_LIBC,
// PREBUILD_STRIP_BIN.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { nodeHeaders } from './lib/node-headers.mjs';

const load = createRequire(import.meta.url);
const root = resolve(import.meta.dirname, '..');
const arch = process.env['PREBUILD_ARCH'] ?? process.arch;
const folder = join(root, 'prebuilds', `${process.platform}-${arch}`);

// prebuildify hands no option for it on to node-gyp, which reads it from the environment as well.
if (nodeHeaders !== undefined) process.env['npm_config_nodedir'] = nodeHeaders.nodedir;

await promisify(load('prebuildify'))({
  cwd: join(root, 'addon'),
  out: root,
  name: 'walstack',
  napi: true,
  strip: true,
  // Binaries for glibc and for musl lie side by side.
  tagLibc: process.platform === 'linux',
  targets: [process.versions.node],
});

for (const name of readdirSync(folder)) {
  const path = join(folder, name);
  process.stdout.write(`${path}, ${readFileSync(path).length} bytes\n`);
}
// What was made for this machine has to load here.
if (arch === process.arch && process.env['PREBUILD_LIBC'] === undefined) {
  process.env['PREBUILDS_ONLY'] = '1';
  load('node-gyp-build')(root);
}
