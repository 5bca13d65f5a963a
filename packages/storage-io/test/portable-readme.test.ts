import { readFileSync } from 'node:fs';
import { PortableWalWriter, type PortableWalWriterOptions, type ReadFramesOptions } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const section = readme.slice(readme.indexOf('## Appending to one file'), readme.indexOf('## Backends'));

const OPTIONS: Record<keyof PortableWalWriterOptions | keyof ReadFramesOptions, true> = {
  io: true,
  create: true,
  fileMode: true,
  framed: true,
  direct: true,
  padGroups: true,
  blockBytes: true,
  maxBatchBytes: true,
  maxPendingBytes: true,
  maxUnsyncedBytes: true,
  copy: true,
};

describe('the README on PortableWalWriter', () => {
  it.each(Object.keys(OPTIONS))('has a row for the option %s', (option) => {
    expect(readme).toMatch(new RegExp(`\n\\| \`${option}\` \\| \`(PortableWalWriter|readFrames)\``));
  });

  it('names every call and property', () => {
    const names = Object.getOwnPropertyNames(PortableWalWriter.prototype).filter((name) => name !== 'constructor');
    expect(names.length).toBeGreaterThan(20);
    for (const name of names) expect(section).toMatch(new RegExp(`[\`.]${name}[\`(]`));
  });
});
