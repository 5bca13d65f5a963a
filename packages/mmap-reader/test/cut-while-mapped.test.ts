import { spawnSync } from 'node:child_process';
import { fileLocksUnavailableReason, mappingUnavailableReason } from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { type MadeRecord, makeChain, writeSegments } from './support/segments.js';

const canMap = mappingUnavailableReason === undefined && fileLocksUnavailableReason === undefined;

const TOTAL = 500;
/** In the middle of the first segment, and of a page of it. */
const CUT_TO = 150_001;

/** A log of two segments, each of them many pages, of which the first one is cut meanwhile. */
function log(): { directory: string; path: string } {
  const directory = temporaryDirectory();
  const record = (lsn: number): MadeRecord => ({ payload: String(lsn % 10).repeat(1000), type: 1 + (lsn % 2) });
  const paths = writeSegments(directory, makeChain([TOTAL, 5], record));
  return { directory, path: paths[0] as string };
}

/**
 * Runs a program in a process of its own, as a signal that is not handled would end this one, and returns what it has put
 * into `seen`. `cut()` cuts the file; `isRight(record)` looks at a payload.
 */
function run(program: string, inWorker: boolean): unknown {
  const { directory, path } = log();
  const body = `
    import { truncateSync } from 'node:fs';
    const [path, directory] = ${JSON.stringify([path, directory])};
    const cut = () => truncateSync(path, ${CUT_TO});
    const isRight = ({ lsn, payload }) => Buffer.from(payload).toString() === String(lsn % 10).repeat(1000);
    const failure = async (work) => {
      try { await work(); } catch ({ code, reason, path: where }) { return [code, reason, where === path]; }
    };
    const seen = {};
    ${program}
    process.stdout.write(JSON.stringify(seen));`;
  const imports = `import * as reader from ${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)};`;
  const source = inWorker
    ? `import { Worker } from 'node:worker_threads';
      const source = new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(imports + body)}));
      new Worker(source);`
    : imports + body;
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    encoding: 'utf8',
  });
  expect([status, signal, stderr]).toEqual([0, null, '']);
  return JSON.parse(stdout);
}

const FAILURE = ['WAL_CORRUPT', 'cut-while-mapped', true];

describe.runIf(canMap).each([
  ['the main thread', false],
  ['a worker thread', true],
])('a mapped segment that another program cuts, in %s', (_name, inWorker) => {
  it('is an error of the replay before a copy of what was cut off is given out', () => {
    const seen = run(
      `seen.given = [];
        seen.failure = await failure(() => {
          for (const record of reader.replayDirectory(directory)) {
            if (record.lsn === 1) cut();
            seen.given.push(isRight(record));
          }
        });`,
      inWorker,
    ) as { failure: unknown; given: boolean[] };
    expect(seen.failure).toEqual(FAILURE);
    // The one record that the page lies in that the file ends in now may be zeros from the new end on.
    expect(seen.given.length).toBeLessThanOrEqual(Math.ceil((CUT_TO + 4096) / 1032));
    expect(seen.given.slice(0, Math.floor(CUT_TO / 1040) - 1)).not.toContain(false);
  });

  it('is an error of the replay with workers, of a cursor, of a scan and of types that are looked for', () => {
    const seen = run(
      `const each = (options, visit) => failure(() => reader.replayDirectory(directory, options).forEach(visit));
      const grow = (await import('node:fs')).readFileSync(path);
      const restore = async () => (await import('node:fs')).writeFileSync(path, grow);
      seen.workers = await each({ workers: 2 }, ({ lsn }) => { if (lsn === 1) cut(); });
      await restore();
      seen.types = await each({ types: [2] }, ({ lsn }) => { if (lsn < 4) cut(); });
      await restore();
      seen.cursor = await failure(() => {
        const cursor = reader.replayDirectory(directory).cursor();
        try {
          let sum = 0;
          while (cursor.next()) { if (cursor.lsn === 1) cut(); sum += cursor.payload.at(-1); }
        } finally { cursor.close(); }
      });
      await restore();
      seen.scan = await failure(() => reader.replayDirectory(directory).scan((cursor) => {
        if (cursor.lsn === 1) cut();
        cursor.payload.at(-1);
      }));`,
      inWorker,
    );
    expect(seen).toEqual({ workers: FAILURE, types: FAILURE, cursor: FAILURE, scan: FAILURE });
  });

  it('is an error of its reader, and views of it are zeros', () => {
    const seen = run(
      `const wal = reader.MmapWalReader.open(path);
      const records = [];
      for (let lsn = 1; lsn <= 400; lsn++) records.push(wal.nextRecord());
      seen.mapped = wal.isMapped;
      cut();
      seen.right = isRight(records[0]);
      seen.last = records[399].payload.every((byte) => byte === 0);
      seen.next = await failure(() => wal.nextRecord());
      seen.again = await failure(() => wal.nextRecord());
      seen.records = await failure(() => [...wal.records()]);
      wal.close();`,
      inWorker,
    );
    expect(seen).toEqual({ mapped: true, right: true, last: true, next: FAILURE, again: FAILURE, records: FAILURE });
  });
});
