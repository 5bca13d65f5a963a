import { readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { runAsync } from '@walstack/storage-io';
import { replaceFile } from '@walstack/storage-io/internal';
import { expect, test } from 'vitest';
import { BACKENDS } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

test.each(BACKENDS.filter(([name]) => name !== 'memory'))(
  'on %s a write of a killed process to the draft of a file does not reach the file',
  async (_name, create) => {
    await using io = create();
    const directory = temporaryDirectory();
    const [draft, path] = [join(directory, 'file.new'), join(directory, 'file')];
    writeFileSync(draft, 'what a process was writing when it was killed');
    await using killed = await open(draft, 'r+');
    await runAsync(io, replaceFile(io, draft, path, new TextEncoder().encode('whole'), 0o600));
    await killed.write('late', 0);
    expect(readFileSync(path, 'utf8')).toBe('whole');
  },
);
