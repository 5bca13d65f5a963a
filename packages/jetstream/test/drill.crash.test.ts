import { rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { compareLog, restoreLog } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { until } from './support/logs.js';
import { startCluster, withoutServer } from './support/nats-servers.js';
import { Writer } from './support/writer.js';

/** How many records are replicated before the machine is lost. `pnpm drill` in this package takes more. */
const RECORDS = Number(process.env['WALSTACK_DRILL_RECORDS'] ?? 2000);
const isRepeated = process.env['WALSTACK_NATIVE'] === '0';

describe.skipIf(withoutServer !== undefined || isRepeated)('the loss of a machine', () => {
  test('process and directory are lost: the cluster has every record that was said to be replicated', async () => {
    const servers = await startCluster();
    const stream = { connection: { servers: servers.map(({ address }) => address) }, log: 'drill' };
    const directory = join(temporaryDirectory(), 'log');
    const begun = performance.now();
    const writer = new Writer(directory, { ...stream, create: { num_replicas: 3 } });
    await until(() => writer.replicated >= RECORDS);
    const { replicated } = writer;
    const shippedMs = performance.now() - begun;
    await writer.kill();
    rmSync(directory, { recursive: true });

    const lostAt = performance.now();
    const restored = join(temporaryDirectory(), 'restored');
    const report = await restoreLog(restored, stream);
    const restoredAt = performance.now();
    const wal = await Wal.open(restored, { encoding: 'utf8' });
    const openAt = performance.now();
    expect(report.lastLsn).toBeGreaterThanOrEqual(replicated);
    let lsn = 0;
    await wal.replay('first', (event) => {
      lsn++;
      expect([event.lsn, event.payload]).toEqual([lsn, `record ${lsn} `.padEnd(100, '.')]);
    });
    expect(lsn).toBe(report.records);
    expect(await wal.commit('and on')).toBe(report.lastLsn + 1);
    const verifiedAt = performance.now();
    await wal.shutdown();
    expect(await compareLog(restored, stream)).toMatchObject({ differing: [], records: report.records });
    const times = {
      shippedMs,
      restoredMs: restoredAt - lostAt,
      openedMs: openAt - restoredAt,
      verifiedMs: verifiedAt - openAt,
    };
    const rounded = Object.entries(times).map(([name, ms]) => `${name} ${Math.round(ms)}`);
    console.log(
      `drill: ${report.records} records, ${replicated} of them known to be replicated; ${rounded.join(', ')}`,
    );
  });
});
