import { encodeFrame, WalError } from '@walstack/codec';
import { decodeFramedJson } from '@walstack/codec/internal';
import { createMemoryStorageIo, ioSteps, runSync } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeManifest,
  encodeManifest,
  type Manifest,
  NO_MANIFEST,
  readManifest,
  writeManifest,
} from '../src/recovery/manifest.js';

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const checkpoint = fc.record({
  id: count,
  epoch: count,
  createdAtMs: count,
  snapshot: fc.boolean(),
  cores: fc.array(
    fc.record({
      coreId: count,
      lsn: count,
      position: count,
      timestampUs: count,
      retired: fc.boolean(),
      committed: fc.record({
        offsets: fc
          .dictionary(fc.string(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }))
          .map((all) => new Map(Object.entries(all))),
        watermark: fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { nil: undefined }),
      }),
    }),
    { maxLength: 3 },
  ),
});
const manifest: fc.Arbitrary<Manifest> = fc.record({
  cores: fc.array(count, { maxLength: 5 }),
  checkpoint: fc.option(checkpoint, { nil: undefined }),
  pending: fc.option(checkpoint, { nil: undefined }),
  dropping: fc.option(
    fc.tuple(count, count).map(([one, other]) => ({ complete: Math.min(one, other), last: Math.max(one, other) })),
    { nil: undefined },
  ),
  dropped: fc.option(count, { nil: undefined }),
  salvaged: fc.option(count, { nil: undefined }),
  lastId: fc.option(count, { nil: undefined }),
});

test('every manifest is read as it was written', () => {
  fc.assert(
    fc.property(manifest, (one) => {
      expect(decodeManifest(encodeManifest(one), 'manifest')).toEqual(one);
    }),
  );
});

test('the file has the names that docs/format.md gives', () => {
  const place = {
    coreId: 0,
    lsn: 1,
    position: 2,
    timestampUs: 3,
    retired: false,
    committed: { offsets: new Map(), watermark: undefined },
    committedBeforeRetirement: ['source'],
  };
  const complete = { id: 1, epoch: 1, createdAtMs: 1, snapshot: true, cores: [place] };
  const bytes = encodeManifest({
    ...NO_MANIFEST,
    cores: [0],
    checkpoint: complete,
    dropping: { complete: 1, last: 2 },
    dropped: 1,
  });
  expect(decodeFramedJson(bytes, () => new WalError('WAL_CORRUPT', 'damaged'))).toEqual({
    version: 1,
    cores: [0],
    checkpoint: {
      ...complete,
      cores: [
        {
          coreId: 0,
          lsn: 1,
          position: 2,
          timestampUs: 3,
          left: false,
          offsets: {},
          watermark: null,
          committedBeforeLeaving: ['source'],
        },
      ],
    },
    pending: null,
    leaving: { complete: 1, last: 2 },
    dropped: 1,
  });
});

test('no changed byte goes unnoticed, and no shorter or longer file', () => {
  const bytes = encodeManifest({ ...NO_MANIFEST, cores: [0, 1, 2] });
  const corrupt = expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'checksum' });
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] as number) ^ 0x10;
    expect(() => decodeManifest(changed, 'manifest')).toThrow(corrupt);
    expect(() => decodeManifest(bytes.subarray(0, at), 'manifest')).toThrow(corrupt);
  }
  expect(() => decodeManifest(Buffer.concat([bytes, Uint8Array.of(0)]), 'manifest')).toThrow(corrupt);
});

describe('with a right checksum', () => {
  const read = (json: unknown): unknown => {
    const data = new TextEncoder().encode(typeof json === 'string' ? json : JSON.stringify(json));
    const bytes = new Uint8Array(8 + data.length);
    encodeFrame(bytes, 0, data);
    return decodeManifest(bytes, 'manifest');
  };
  const empty = { version: 1, cores: [], checkpoint: null, pending: null };
  const place = { coreId: 0, lsn: 1, position: 1, timestampUs: 1, left: false, offsets: {}, watermark: null };
  const whole = { id: 1, epoch: 1, createdAtMs: 1, cores: [place] };

  test('a valid manifest is read', () => {
    expect(read({ ...empty, checkpoint: whole })).toMatchObject({ checkpoint: { id: 1, cores: [{ lsn: 1 }] } });
  });

  test.each<readonly [string, unknown]>([
    ['text that is not JSON', '{'],
    ['JSON that is not an object', []],
    ['a manifest without a version', { ...empty, version: undefined }],
    ['cores that are not ids', { ...empty, cores: [-1] }],
    ['a checkpoint without an epoch', { ...empty, checkpoint: { ...whole, epoch: undefined } }],
    ['a place with an invalid position', { ...empty, pending: { ...whole, cores: [{ ...place, position: 1.5 }] } }],
    ['a place without the flag of a retired core', { ...empty, pending: { ...whole, cores: [{ ...place, left: 1 }] } }],
    ['an offset that is a number', { ...empty, checkpoint: { ...whole, cores: [{ ...place, offsets: { a: 1 } }] } }],
    ['a watermark that is not a number', { ...empty, checkpoint: { ...whole, cores: [{ ...place, watermark: 'x' }] } }],
  ])('%s is corrupt', (_what, json) => {
    expect(() => read(json)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }));
  });

  test('a later version is reported as such', () => {
    expect(() => read({ ...empty, version: 2 })).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED_VERSION' }));
  });
});

test('it is replaced as a whole: a failure leaves the previous one', () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  io.makeDirectory('/log');
  runSync(io, ioSteps.syncDirectory(io, '/'));
  expect(runSync(io, readManifest(io, '/log'))).toBeUndefined();
  runSync(io, writeManifest({ io, directory: '/log', fileMode: 0o600 }, { ...NO_MANIFEST, cores: [1] }));
  for (const kind of ['write', 'datasync', 'rename'] as const) {
    disk.failWhen((operation) => (operation.kind === kind ? 'EIO' : undefined));
    expect(() =>
      runSync(io, writeManifest({ io, directory: '/log', fileMode: 0o600 }, { ...NO_MANIFEST, cores: [2] })),
    ).toThrow();
    disk.failWhen(undefined);
    expect(runSync(io, readManifest(io, '/log'))?.cores).toEqual([1]);
  }
  runSync(io, writeManifest({ io, directory: '/log', fileMode: 0o600 }, { ...NO_MANIFEST, cores: [3] }));
  const after = disk.crash('none').createStorageIo();
  expect(runSync(after, readManifest(after, '/log'))?.cores).toEqual([3]);
});

test('a file that is not a manifest is reported with its path', () => {
  const io = createMemoryStorageIo();
  io.makeDirectory('/log');
  io.close(io.open('/log/manifest', { create: true }));
  expect(() => runSync(io, readManifest(io, '/log'))).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', path: '/log/manifest' }),
  );
});
