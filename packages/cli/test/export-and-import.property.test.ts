import { join } from 'node:path';
import { type AppendOptions, SegmentedWal } from '@walstack/segmented';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli } from './support/cli.js';

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 50 }),
  fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
);
const id = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const scope = fc.record({ tenantId: id, databaseId: id, vshardId: fc.nat(0xffff_ffff) });
const records = fc.array(
  fc.record({
    payload: bytes,
    type: fc.nat(0xffff_ffff),
    meta: bytes,
    scope: fc.option(scope, { nil: undefined }),
  }),
  { minLength: 1, maxLength: 30 },
);

test('what is exported and imported is the same: payloads of any bytes, meta, types, scopes, LSNs', async () => {
  await fc.assert(
    fc.asyncProperty(records, fc.integer({ min: 1, max: 1000 }), async (given, firstLsn) => {
      const directory = temporaryDirectory();
      const [log, copy] = [join(directory, 'log'), join(directory, 'copy')];
      const wal = await SegmentedWal.open({ directory: log, firstLsn });
      for (const { payload, type, meta, scope: ids } of given) {
        const options: AppendOptions = { type, meta, ...ids };
        wal.append(payload, options);
      }
      await wal.close();
      const lines = await cli(['export', log]);
      expect(lines.code).toBe(0);
      const imported = await cli(['import', copy, '--create', '--keep-lsns'], { input: lines.out });
      expect(imported).toMatchObject({ code: 0, err: '' });
      expect(await contentOf(copy)).toEqual(await contentOf(log));
    }),
    { numRuns: 15 },
  );
});

async function contentOf(directory: string): Promise<unknown[]> {
  const wal = await SegmentedWal.open({ directory, recoveryMode: 'readonly' });
  const found: unknown[] = [];
  for await (const { lsn, type, payload, meta, scope: ids } of wal.replay())
    found.push({ lsn, type, payload, meta, ids });
  await wal.close();
  return found;
}
