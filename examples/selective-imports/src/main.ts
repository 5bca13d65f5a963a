import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Wal } from '@walstack/wal';
import { type Bundle, bundle } from './bundle.js';

/** The programs, each with one layer and those below it. */
const PROGRAMS = ['codec-alone', 'storage-io-alone', 'reader-alone', 'segmented-alone', 'wal'] as const;

const KIBIBYTE = 1024;
const folder = mkdtempSync(join(tmpdir(), 'walstack-bundles-'));

/** A log that is only read. */
async function makeLog(): Promise<string> {
  const directory = join(folder, 'log');
  await using wal = await Wal.open(directory);
  for (let each = 0; each < 1000; each++) wal.append('x'.repeat(100));
  return directory;
}

function row(program: string, { minifiedBytes, gzippedBytes, packages }: Bundle): string {
  const kibibytes = (bytes: number): string => (bytes / KIBIBYTE).toFixed(1).padStart(8);
  return `${program.padEnd(18)}${kibibytes(minifiedBytes)}${kibibytes(gzippedBytes)}  ${packages.join(', ')}`;
}

try {
  const directory = await makeLog();
  const rows: string[] = [];
  for (const program of PROGRAMS) {
    const source = fileURLToPath(new URL(`./${program}.js`, import.meta.url));
    const bundled = await bundle(source, join(folder, `${program}.mjs`));
    process.stdout.write(execFileSync(process.execPath, [bundled.path, directory], { encoding: 'utf8' }));
    rows.push(row(program, bundled));
  }
  console.log(`\nprogram            KiB min  KiB gz  packages in the bundle\n${rows.join('\n')}`);
} finally {
  rmSync(folder, { recursive: true });
}
