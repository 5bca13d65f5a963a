import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { compareLog, LogReplica, restoreLog } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { intercepted } from './support/intercepted.js';
import { commitMany } from './support/logs.js';
import { withoutServer } from './support/nats-servers.js';
import { setUpShipping } from './support/set-up.js';

const SMALL = { segmentBytes: 4096, blockBytes: 512 } as const;

const segmentsIn = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.seg'))
    .sort();

function invert(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] as number) ^ 1;
  writeFileSync(path, bytes);
}

/** Removes the file of a segment. @returns its first LSN, which a salvage has to be given */
function remove(path: string): number {
  rmSync(path);
  return Number(/-(\d+)\.seg$/.exec(path)?.[1]);
}

/** Where records are lost, by the files of the log. What they return are first LSNs of missing segments. */
const DAMAGES: Readonly<Record<string, (paths: readonly string[]) => unknown>> = {
  'inside a segment': (paths) => invert(paths[2] as string, 900),
  'at the end of a segment': (paths) => invert(paths[2] as string, readFileSync(paths[2] as string).length - 600),
  'at the beginning of a segment': (paths) => invert(paths[2] as string, 530),
  'in a whole segment, whose header is damaged': (paths) => invert(paths[3] as string, 20),
  'in a whole segment, which is missing': (paths) => [remove(paths[3] as string)],
  'in the first segment': (paths) => invert(paths[0] as string, 20),
  'in several places': (paths) => {
    for (const path of paths.slice(1, 4)) for (const offset of [530, 2000, 3300]) invert(path, offset);
    return [remove(paths[6] as string)];
  },
};

describe.skipIf(withoutServer !== undefined)('a log that was salvaged around damage', () => {
  const { closing, nextOptions, openLog, start } = setUpShipping();

  test.each(Object.entries(DAMAGES))(
    '%s is shipped with its holes, restored, compared and replicated',
    async (_where, damage) => {
      const directory = join(temporaryDirectory(), 'log');
      const written = await Wal.open(directory, SMALL);
      await commitMany(written, 210);
      await written.shutdown();
      const missing = damage(segmentsIn(directory).map((name) => join(directory, name)));
      const salvageLsn = Array.isArray(missing) ? (missing as number[]) : [];
      const wal = await openLog({ ...SMALL, recoveryMode: 'skip-corrupt', salvageLsn }, directory);
      const { holes } = wal.recovery;
      expect(holes.length).toBeGreaterThan(0);
      await commitMany(wal, 30);
      const { lastLsn } = wal;
      const events: unknown[] = [];
      await wal.replay('first', (event) => events.push(event), { onHole: 'skip' });
      const options = nextOptions();
      const stream = { connection: options.connection, log: options.log };
      const shipper = start(wal, options);
      await shipper.replicated(lastLsn);
      await shipper.close();
      expect(shipper.stats()).toMatchObject({ records: events.length, replicatedLsn: lastLsn });

      const restored = join(temporaryDirectory(), 'restored');
      const report = await restoreLog(restored, stream);
      expect(report).toMatchObject({ firstLsn: wal.firstLsn, lastLsn, records: events.length });
      const again = await openLog({ ...SMALL }, restored);
      const found: unknown[] = [];
      await again.replay('first', (event) => found.push(event), { onHole: 'skip' });
      expect(found).toEqual(events);
      expect(again.recovery.holes).toEqual(holes);
      expect(await compareLog(directory, stream)).toMatchObject({ agrees: true, records: events.length });

      const replica = LogReplica.start(join(temporaryDirectory(), 'replica'), stream);
      closing.push(() => replica.close());
      await replica.reached(lastLsn);
      // The next shipper goes on, and so does the replica.
      await commitMany(wal, 3);
      const next = start(wal, options);
      await next.replicated(wal.lastLsn);
      await replica.reached(wal.lastLsn);
      expect(next.stats().records).toBe(3);
    },
  );

  /** A log whose records from the first one up to an LSN are in the stream, and one that is lost since. */
  const damaged = async (records: number, shipped: number, lost: number, isContinued = true) => {
    const directory = join(temporaryDirectory(), 'log');
    const written = await Wal.open(directory, SMALL);
    const commit = async (to: number): Promise<void> => {
      while (written.lastLsn < to) await written.commit(`record ${written.lastLsn + 1} `.padEnd(300, '.'));
    };
    await commit(shipped);
    const options = nextOptions();
    const shipper = start(written, options);
    await shipper.replicated(shipped);
    await shipper.close();
    await commit(records);
    const firstLsns = written.listSegments().map(({ firstLsn }) => firstLsn);
    await written.shutdown();
    for (const path of segmentsIn(directory).map((name) => join(directory, name))) {
      const at = readFileSync(path).indexOf(`record ${lost} `);
      if (at >= 0) invert(path, at);
    }
    const wal = await openLog({ ...SMALL, recoveryMode: 'skip-corrupt' }, directory);
    expect(wal.recovery.holes).toMatchObject([{ firstLsn: lost, lastLsn: lost }]);
    if (isContinued) await commitMany(wal, 3);
    return { wal, options, stream: { connection: options.connection, log: options.log }, firstLsns };
  };

  test.each([
    ['the last one of the log', 24, 24],
    ['the last one of a segment', 20, 20],
    ['the last one of a segment, with others behind it', 25, 20],
    ['inside a segment', 25, 18],
    ['the first one of a segment', 25, 21],
  ])('goes on in the stream when the last record there is lost: %s', async (_, records, last) => {
    const { wal, options, stream, firstLsns } = await damaged(records, last, last);
    expect(firstLsns).toEqual([1, 11, 21].filter((lsn) => lsn <= records));
    await start(wal, options).replicated(wal.lastLsn);
    // The stream has the record that the log has not.
    const restored = join(temporaryDirectory(), 'restored');
    expect(await restoreLog(restored, stream)).toMatchObject({ lastLsn: wal.lastLsn, records: wal.lastLsn });
    const again = await openLog({}, restored);
    let found = 0;
    await again.replay('first', () => void found++);
    expect(found).toBe(wal.lastLsn);
    expect(await compareLog(wal.directory, stream)).toMatchObject({ agrees: false, differing: [last] });
  });

  test.each([false, true])(
    'that ends with a hole is replicated when the stream has what is lost (shipped as a directory: %s)',
    async (isDirectory) => {
      const { wal, options, stream } = await damaged(24, 24, 24, false);
      const shipper = start(isDirectory ? wal.directory : wal, options);
      await shipper.replicated(10);
      await shipper.replicated(24);
      expect(shipper.stats()).toMatchObject({ replicatedLsn: 24, records: 0 });
      await shipper.close();
      await commitMany(wal, 3);
      await start(wal, options).replicated(wal.lastLsn);
      expect(await compareLog(wal.directory, stream)).toMatchObject({ agrees: false, differing: [24] });
    },
  );

  test('goes on behind a stream whose last record was truncated since, with a hole', async () => {
    const { wal, options, stream } = await damaged(25, 20, 21);
    await wal.truncateBefore(21);
    expect(wal.firstLsn).toBe(21);
    await start(wal, options).replicated(wal.lastLsn);
    const restored = join(temporaryDirectory(), 'restored');
    expect(await restoreLog(restored, stream)).toMatchObject({ lastLsn: wal.lastLsn, records: wal.lastLsn - 1 });
    expect((await openLog({}, restored)).recovery.holes).toMatchObject([{ firstLsn: 21, lastLsn: 21 }]);
    expect(await compareLog(wal.directory, stream)).toMatchObject({ agrees: true });
  });

  test('counts the records that are lost, and not those that are cut off', async () => {
    const { wal, options, stream } = await damaged(25, 18, 23);
    const shipper = start(wal, options);
    await shipper.replicated(wal.lastLsn);
    await wal.truncateAfter(22);
    await commitMany(wal, 3);
    const { lastLsn } = wal;
    await shipper.replicated(lastLsn);
    const restored = join(temporaryDirectory(), 'restored');
    expect(await restoreLog(restored, stream)).toMatchObject({ lastLsn, records: lastLsn });
    expect(await compareLog(wal.directory, stream)).toMatchObject({ agrees: true, records: lastLsn });
  });

  test('is shipped once over connections that are lost, also behind the end of a segment', async () => {
    const directory = join(temporaryDirectory(), 'log');
    const written = await Wal.open(directory, SMALL);
    await commitMany(written, 210);
    await written.shutdown();
    const paths = segmentsIn(directory).map((name) => join(directory, name));
    for (const path of paths.slice(0, 3)) invert(path, readFileSync(path).length - 600);
    const salvageLsn = [remove(paths[4] as string)];
    const wal = await openLog({ ...SMALL, recoveryMode: 'skip-corrupt', salvageLsn }, directory);
    let records = 0;
    await wal.replay('first', () => void records++, { onHole: 'skip' });
    const { connection, ...options } = nextOptions();
    const { servers } = connection as { readonly servers: string };
    for (const each of [2, 3]) {
      const log = `${options.log}-${each}`;
      let published = 0;
      const lossy = async () => {
        const opened = await connect({ servers, reconnect: false });
        return intercepted(opened, async (subject) => {
          if (subject === `walstack.${log}` && ++published % (each * 10) === 0) await opened.close();
          return subject;
        });
      };
      const shipper = start(wal, { ...options, log, connection: lossy });
      await shipper.replicated(wal.lastLsn);
      await shipper.close();
      expect(shipper.stats().attempts).toBeGreaterThan(1);
      expect(await restoreLog(join(temporaryDirectory(), 'restored'), { connection, log })).toMatchObject({ records });
      expect(await compareLog(directory, { connection, log })).toMatchObject({ agrees: true, records });
    }
  });
});
