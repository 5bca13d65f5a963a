import {
  appendFileSync,
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { crc32c, decodeSegmentHeader, sealFrames, segmentSeed } from '@walstack/codec';
import { PerCoreWalManager } from '@walstack/percore';
import { SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { flipByte, makeCores, makeEncryptedLog, makeLog, removeSegment, segmentsOf } from './support/logs.js';

describe('explain gives the reason for', () => {
  type Damage = (log: string) => void | Promise<void>;
  const rows: readonly [what: string, damage: Damage, code: string, reason: string | undefined, exit: number][] = [
    ['a missing segment', (log) => removeSegment(log, 1), 'WAL_CORRUPT', 'missing-segment', 3],
    [
      'a damaged header',
      (log) => writeFileSync(segmentsOf(log)[1] as string, Buffer.alloc(8192, 1)),
      'WAL_CORRUPT',
      'header',
      3,
    ],
    [
      'a renamed segment',
      (log) => {
        const last = segmentsOf(log).at(-1) as string;
        renameSync(last, last.replace(/wal-\d{10}/, 'wal-0000000099'));
      },
      'WAL_CORRUPT',
      'renamed-segment',
      3,
    ],
    [
      'a duplicated segment',
      (log) => {
        const path = segmentsOf(log)[1] as string;
        copyFileSync(path, path.replace(/\d{20}\.seg$/, '00000000000000000999.seg'));
      },
      'WAL_CORRUPT',
      'duplicated-segment',
      3,
    ],
    [
      'segments of two logs',
      async (log) => {
        const other = `${log}-other`;
        await makeLog(other);
        const path = segmentsOf(other)[1] as string;
        copyFileSync(path, join(log, basename(path)));
      },
      'WAL_CORRUPT',
      'other-log',
      3,
    ],
    [
      'damage in the newest segment, which a later frame proves',
      (log) => flipByte(log, segmentsOf(log).length - 1, 'event 46'),
      'WAL_CORRUPT',
      'hole',
      3,
    ],
    [
      'an end that is missing before the checkpoint',
      async (log) => {
        await reopened(log, (wal) => wal.checkpoint(60));
        cutBehind(log, 'event 50');
      },
      'WAL_CORRUPT',
      'hole-before-checkpoint',
      3,
    ],
    [
      'an end that is missing before a hold',
      async (log) => {
        await reopened(log, (wal) => wal.hold('replica', 60));
        cutBehind(log, 'event 50');
      },
      'WAL_CORRUPT',
      'hole-before-hold',
      3,
    ],
    [
      'a segment from another copy of the log',
      async (log) => {
        const copy = `${log}-copy`;
        cpSync(log, copy, { recursive: true });
        for (const each of [log, copy]) await makeLog(each);
        const path = segmentsOf(copy).at(-2) as string;
        copyFileSync(path, join(log, basename(path)));
      },
      'WAL_CORRUPT',
      'other-segment',
      3,
    ],
    [
      'a directory with the name of a segment',
      (log) => {
        const path = segmentsOf(log)[1] as string;
        rmSync(path);
        mkdirSync(path);
      },
      'WAL_CORRUPT',
      'missing-segment',
      3,
    ],
    [
      'a forged frame with impossible fields',
      (log) => {
        const path = segmentsOf(log)[0] as string;
        const bytes = readFileSync(path);
        const { blockBytes, segmentId } = decodeSegmentHeader(bytes, path);
        // The length of meta, behind length, checksum, LSN, type and lag, of the first record.
        bytes.writeUInt16LE(0xffff, blockBytes + 24);
        const end = blockBytes + 8 + bytes.readUInt32LE(blockBytes);
        sealFrames(bytes, blockBytes, end, blockBytes, blockBytes, segmentSeed(segmentId));
        writeFileSync(path, bytes);
      },
      'WAL_CORRUPT',
      'impossible-fields',
      3,
    ],
    [
      'a damaged checkpoint',
      async (log) => {
        await reopened(log, (wal) => wal.checkpoint(5));
        writeFileSync(join(log, 'checkpoint'), Buffer.alloc(200, 1));
      },
      'WAL_CORRUPT',
      'checksum',
      3,
    ],
    [
      'a backup that was decided and not carried out',
      async (log) => {
        const backup = `${log}-backup`;
        await cli(['backup', log, backup]);
        rmSync(log, { recursive: true });
        renameSync(backup, log);
        renameSync(join(log, 'backup.segments'), join(log, 'backup.next'));
      },
      'WAL_STATE',
      undefined,
      1,
    ],
    [
      'a directory with other files',
      (log) => {
        rmSync(log, { recursive: true });
        mkdirSync(log);
        writeFileSync(join(log, 'notes.txt'), 'nothing');
      },
      'WAL_FOREIGN_DIRECTORY',
      undefined,
      4,
    ],
    ['nothing at all', (log) => rmSync(log, { recursive: true }), 'WAL_NOT_FOUND', undefined, 4],
    [
      'a later version',
      (log) => {
        const path = segmentsOf(log).at(-1) as string;
        const bytes = readFileSync(path);
        bytes.writeUInt16LE(2, 8);
        bytes.writeUInt32LE(crc32c(bytes.subarray(0, 124)), 124);
        writeFileSync(path, bytes);
      },
      'WAL_UNSUPPORTED_VERSION',
      undefined,
      1,
    ],
    [
      'an empty directory',
      (log) => {
        rmSync(log, { recursive: true });
        mkdirSync(log);
      },
      'WAL_NOT_FOUND',
      undefined,
      4,
    ],
    [
      'a file that is no log',
      (log) => {
        rmSync(log, { recursive: true });
        writeFileSync(log, 'some text that is no frame\n'.repeat(100));
      },
      'WAL_BAD_HEADER',
      undefined,
      4,
    ],
  ];

  for (const [what, damage, code, reason, exit] of rows) {
    test(what, async () => {
      const log = join(temporaryDirectory(), 'log');
      await makeLog(log);
      await damage(log);
      const outcome = await cli(['explain', log, '--json']);
      expect(json(outcome)).toMatchObject({ opens: false, error: reason === undefined ? { code } : { code, reason } });
      expect(json(outcome).explanation).not.toBe('');
      expect(outcome.code).toBe(exit);
      expect((await cli(['explain', log])).code).toBe(exit);
      expect((await cli(['verify', log])).code).toBe(exit);
    });
  }

  test.each<[what: string, damage: (at: (name: string) => string) => string[], reason: string]>([
    ['a key that was not given', () => [], 'missing-key'],
    [
      'a wrong key',
      (at) => {
        writeFileSync(at('wrong.json'), JSON.stringify({ current: 1, keys: { 1: 'cd'.repeat(32) } }), { mode: 0o600 });
        return ['--key-file', at('wrong.json')];
      },
      'wrong-key',
    ],
    [
      'a key file that others can read',
      (at) => {
        chmodSync(at('keys.json'), 0o644);
        return ['--key-file', at('keys.json')];
      },
      'permissions',
    ],
    [
      'a key file that is none',
      (at) => {
        writeFileSync(at('none.json'), '{}', { mode: 0o600 });
        return ['--key-file', at('none.json')];
      },
      'key-file',
    ],
  ])('%s', async (_what, damage, reason) => {
    const directory = temporaryDirectory();
    const at = (name: string): string => join(directory, name);
    await makeEncryptedLog(at('log'), at('keys.json'));
    const outcome = await cli(['explain', at('log'), ...damage(at), '--json']);
    expect(json(outcome)).toMatchObject({ opens: false, error: { code: 'WAL_BAD_KEY', reason } });
    expect(json(outcome).explanation).not.toBe('');
    expect(outcome.code).toBe(6);
  });

  test('an unencrypted log for which a key is given', async () => {
    const directory = temporaryDirectory();
    const at = (name: string): string => join(directory, name);
    await makeEncryptedLog(at('other'), at('keys.json'));
    await makeLog(at('log'));
    const outcome = await cli(['explain', at('log'), '--key-file', at('keys.json'), '--json']);
    expect(json(outcome)).toMatchObject({ opens: false, error: { reason: 'plaintext' } });
    const allowed = await cli(['explain', at('log'), '--key-file', at('keys.json'), '--allow-plaintext']);
    expect(allowed.code).toBe(0);
  });

  test.each<[what: string, damage: (log: string) => void | Promise<void>, reason: string]>([
    ['a core that is missing', (log) => rmSync(join(log, 'core-1'), { recursive: true }), 'missing-core'],
    ['a manifest that is missing', (log) => rmSync(join(log, 'manifest')), 'missing-manifest'],
    ['a damaged manifest', (log) => writeFileSync(join(log, 'manifest'), 'nothing of the kind'), 'checksum'],
    [
      'a core from before the checkpoint',
      async (log) => {
        cpSync(join(log, 'core-0'), `${log}-core`, { recursive: true });
        const manager = await PerCoreWalManager.open({ directory: log, cores: 2 });
        manager.writer(0).appendPut(Buffer.from('key'), Buffer.from('value'));
        await manager.checkpoint(async () => {});
        await manager.close();
        rmSync(join(log, 'core-0'), { recursive: true });
        renameSync(`${log}-core`, join(log, 'core-0'));
      },
      'checkpoint',
    ],
    [
      'a record that is no entry',
      async (log) => {
        const wal = await SegmentedWal.open({ directory: join(log, 'core-0'), coreId: 0 });
        wal.append('no entry', { type: 77 });
        await wal.close();
      },
      'entry',
    ],
  ])('%s of a per-core log', async (_what, damage, reason) => {
    const log = join(temporaryDirectory(), 'log');
    await makeCores(log);
    await damage(log);
    const outcome = await cli(['explain', log, '--json']);
    const whole = jsonLines(outcome).at(-1);
    expect(whole).toMatchObject({ path: log, opens: false, error: { code: 'WAL_CORRUPT', reason } });
    expect(whole.explanation).not.toMatch(/^$|^Something that was acknowledged/);
    expect(whole.modes).toHaveLength(2);
    expect(outcome.code).toBe(3);
  });

  test('the log of a core under the name of another one', async () => {
    const log = join(temporaryDirectory(), 'log');
    await makeCores(log);
    renameSync(join(log, 'core-0'), join(log, 'core-7'));
    const outcome = await cli(['explain', join(log, 'core-7'), '--json']);
    expect(json(outcome)).toMatchObject({ opens: false, error: { reason: 'other-core' } });
  });

  test.each<[what: string, damage: (file: string) => void, reason: string]>([
    [
      'more behind the last frame than a crash tears',
      (file) => appendFileSync(file, Buffer.alloc(20_000, 1)),
      'long-tail',
    ],
    ['a length that no frame has', (file) => appendFileSync(file, Buffer.alloc(16, 0xee)), 'impossible-length'],
  ])('a file of frames with %s', async (_what, damage, reason) => {
    const file = join(temporaryDirectory(), 'frames');
    const writer = await PortableWalWriter.open(file, { framed: true, maxUnsyncedBytes: 8192 });
    for (let frame = 0; frame < 20; frame++) await writer.appendWithChecksum(Buffer.alloc(500, frame));
    await writer.close();
    damage(file);
    const outcome = await cli(['explain', file, '--json', '--max-unsynced-bytes', '8192']);
    expect(json(outcome)).toMatchObject({ opens: false, error: { code: 'WAL_CORRUPT', reason } });
    expect(outcome.code).toBe(3);
  });
});

/** Opens a log for a call that writes. */
async function reopened(log: string, call: (wal: SegmentedWal) => Promise<unknown>): Promise<void> {
  const wal = await SegmentedWal.open({ directory: log, segmentBytes: 8192, blockBytes: 512, recycleSegments: 0 });
  await call(wal);
  await wal.close();
}

/** Removes what is from a record of the newest segment on. */
function cutBehind(log: string, text: string): void {
  const newest = segmentsOf(log).findLast((path) => readFileSync(path).includes(text)) as string;
  truncateSync(newest, readFileSync(newest).indexOf(text));
  for (const path of segmentsOf(log)) if (path > newest && statSync(path).size > 0) rmSync(path);
}
