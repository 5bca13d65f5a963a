import { CodecNumber, KeyRing, WalError } from '@walstack/codec';
import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { Batch, SegmentedWal, type SegmentedWalConfig, type WalRecord } from '@walstack/segmented';
import { createMemoryStorageIo, ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test, vi } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { keyOf, ringOf } from '../../../harness/test-kit/keys.js';
import { BACKENDS } from './support/environments.js';
import {
  changed,
  flip,
  readFile,
  restore,
  type Snapshot,
  sameFiles,
  segmentNames,
  snapshot,
  writeFile,
} from './support/files.js';
import { DIRECTORY, openIn, recordsOf, texts } from './support/logs.js';

const key = (id: number): { id: number; key: Uint8Array } => ({ id, key: keyOf(id) });
const badKey = (facts: object) => expect.objectContaining({ code: 'WAL_BAD_KEY', ...facts });
const all = async (records: AsyncIterable<WalRecord>): Promise<string[]> => {
  const found: string[] = [];
  for await (const { payload, meta } of records) found.push(`${Buffer.from(meta)}|${Buffer.from(payload)}`);
  return found;
};

const contentOf = async (io: StorageIo, path: string): Promise<Buffer> => {
  const file = io.open(path);
  const bytes = Buffer.alloc(io.size(file));
  await runAsync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return bytes;
};

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('payload and meta of no record stand in the files, and all come back', async () => {
    const io = create();
    const directory = directoryFor(io);
    const config = { directory, io, segmentBytes: 16_384, keyRing: ringOf(1) };
    const wal = await SegmentedWal.open(config);
    expect(wal.encryptionRing).toBe(config.keyRing);
    const expected: string[] = [];
    for (let lsn = 1; lsn <= 200; lsn++) {
      const meta = lsn % 3 === 0 ? '' : `secret meta ${lsn}`;
      const payload = `secret payload ${lsn} `.padEnd(lsn * 5, 'x');
      expected.push(`${meta}|${payload}`);
      wal.append(payload, lsn % 2 === 0 ? { meta, type: lsn } : { meta, tenantId: lsn });
      if (lsn % 17 === 0) await wal.sync();
    }
    expect(wal.appendBatch(new Batch().add('secret of a batch').add('another secret'))).toBe(202);
    expected.push('|secret of a batch', '|another secret');
    await wal.close();
    for (const name of io.list(directory).filter((each) => each.endsWith('.seg'))) {
      const bytes = await contentOf(io, `${directory}/${name}`);
      expect(bytes.includes('secret'), name).toBe(false);
      expect(bytes.includes('xxxxxxxx'), name).toBe(false);
    }
    const again = await SegmentedWal.open(config);
    expect(again.listSegments().every(({ keyId }) => keyId === 1)).toBe(true);
    expect(again.listSegments().length).toBeGreaterThan(3);
    expect(await all(again.replay())).toEqual(expected);
    const { records } = await again.replayFromLimit(99, 2);
    expect(records.map(({ lsn, type, scope }) => [lsn, type, scope?.tenantId])).toEqual([
      [99, 0, 99n],
      [100, 100, undefined],
    ]);
    await again.close();
    await io.dispose();
  });

  test('a log rotated through five keys replays, and needs each of them', async () => {
    const io = create();
    const directory = directoryFor(io);
    const keyRing = ringOf(1);
    let wal = await SegmentedWal.open({ directory, io, keyRing });
    const expected: string[] = [];
    const append = (text: string): void => {
      wal.append(text);
      expected.push(`|${text}`);
    };
    for (let id = 1; id <= 5; id++) {
      if (id > 1) {
        keyRing.add(key(id));
        append(`not yet durable when key ${id} comes`);
        if (id % 2 === 0) await wal.rotateKey(id);
        else {
          keyRing.use(id);
          await wal.rotateKey();
        }
        expect(keyRing.currentId).toBe(id);
      }
      for (let record = 0; record < 5; record++) append(`record ${record} under key ${id}`);
      if (id === 3) {
        await wal.close();
        wal = await SegmentedWal.open({ directory, io, keyRing });
      }
      await wal.sync();
    }
    expect(new Set(wal.listSegments().map(({ keyId }) => keyId))).toEqual(new Set([1, 2, 3, 4, 5]));
    expect(await all(wal.replay())).toEqual(expected);
    await wal.close();

    const whole = await SegmentedWal.open({ directory, io, keyRing: ringOf(5, 4, 3, 2, 1) });
    expect(await all(whole.replay())).toEqual(expected);
    await whole.close();
    const partial = await SegmentedWal.open({ directory, io, keyRing: ringOf(5, 4, 2, 1) });
    await expect(all(partial.replay())).rejects.toThrow(badKey({ reason: 'missing-key', keyId: 3 }));
    // What needs the key that is there is read.
    expect(await all(partial.replayFrom(22))).toEqual(expected.slice(21));
    await partial.close();
    await io.dispose();
  });
});

describe('a log in memory', () => {
  const open = (io = createMemoryStorageIo(), config: Partial<SegmentedWalConfig> = {}): SegmentedWal =>
    openIn(io, config);

  /** A log of two encrypted segments and how it was configured. */
  const made = (config: Partial<SegmentedWalConfig> = {}, close = true): Snapshot => {
    const io = createMemoryStorageIo();
    const wal = open(io, { keyRing: ringOf(1), segmentBytes: 1024, ...config });
    for (let lsn = 1; lsn <= 8; lsn++) wal.append(`record ${lsn} `.padEnd(150, '.'));
    wal.syncSync();
    if (close) wal.closeSync();
    return snapshot(io, DIRECTORY);
  };

  /** Opening is refused, and nothing was changed. */
  const refused = (files: Snapshot, config: Partial<SegmentedWalConfig>, facts: object): void => {
    const io = restore(files);
    expect(() => open(io, config)).toThrow(badKey(facts));
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
  };

  test.each([
    ['closed', true],
    ['killed', false],
  ])('that was %s and is opened without its key, or with another, is refused and not changed', (_how, close) => {
    const files = made({}, close);
    refused(files, {}, { reason: 'missing-key', keyId: 1 });
    refused(files, { keyRing: ringOf(2) }, { reason: 'missing-key', keyId: 1 });
    const wrong = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(99) });
    refused(files, { keyRing: wrong }, { reason: 'wrong-key', keyId: 1, lsn: 7 });
    const wal = open(restore(files), { keyRing: ringOf(2, 1) });
    expect(texts(wal.replay())).toHaveLength(8);
    wal.closeSync();
  });

  test('refuses every flipped byte of a record although its checksum was put right', () => {
    const files = made();
    const [name] = segmentNames(files) as [string];
    const bytes = files.get(name) as Uint8Array;
    const [first] = recordsOf(bytes);
    const id = bytes.slice(48, 64);
    for (let offset = (first?.start as number) + 8; offset < (first?.end as number); offset++) {
      const tampered = changed(files, name, (each) =>
        resealed(flip(offset, 0x40)(each), first as { start: number; end: number }, id),
      );
      const io = restore(tampered);
      let error: unknown;
      try {
        const wal = open(io, { keyRing: ringOf(1) });
        expect(texts(wal.replay())).toBe('refused');
      } catch (thrown) {
        error = thrown;
      }
      expect(WalError.is(error), `byte ${offset}`).toBe(true);
      expect(['WAL_BAD_KEY', 'WAL_CORRUPT', 'WAL_UNSUPPORTED_VERSION']).toContain((error as WalError).code);
    }
  });

  test('rejects a plaintext record in an encrypted segment, unless allowPlaintext is set', () => {
    const files = made();
    const [name] = segmentNames(files) as [string];
    const planted = changed(files, name, (bytes) => {
      const first = recordsOf(bytes)[0] as { start: number; end: number };
      // No flags: what was ciphertext and tag counts as the payload.
      bytes[first.start + 26] = 0;
      return resealed(bytes, first, bytes.slice(48, 64));
    });
    const strict = open(restore(planted), { keyRing: ringOf(1) });
    expect(() => texts(strict.replay())).toThrow(badKey({ reason: 'plaintext', lsn: 1 }));
    strict.closeSync();
    const lenient = open(restore(planted), { keyRing: ringOf(1), allowPlaintext: true });
    expect(texts(lenient.replay())).toHaveLength(8);
    lenient.closeSync();
  });

  test('rejects a plaintext segment behind an encrypted one, unless allowPlaintext is set', () => {
    const io = restore(made());
    const wal = open(io, { keyRing: ringOf(1) });
    wal.append('last one encrypted');
    wal.closeSync();
    const files = snapshot(io, DIRECTORY);
    const planted = plainSuccessor(files);
    refused(planted, { keyRing: ringOf(1) }, { reason: 'plaintext' });
    const lenient = open(restore(planted), { keyRing: ringOf(1), allowPlaintext: true });
    expect(texts(lenient.replay()).slice(-2)).toEqual(['last one encrypted', 'planted']);
    lenient.append('encrypted again');
    lenient.syncSync();
    expect(lenient.listSegments().map(({ keyId }) => keyId)).toEqual([1, 1, 1, 1, 1, 0, 1]);
    lenient.closeSync();
  });

  test('that is only read opens without its key, and refuses to read what needs it', () => {
    const files = made();
    const readonly = { recoveryMode: 'readonly' } as const;
    const blind = open(restore(files), readonly);
    expect([blind.nextLsn, blind.listSegments().map(({ keyId }) => keyId)]).toEqual([9, [1, 1, 1, 1]]);
    expect(() => texts(blind.replay())).toThrow(badKey({ reason: 'missing-key', keyId: 1 }));
    blind.setEncryptionRing(ringOf(1));
    expect(texts(blind.replay())).toHaveLength(8);
    blind.closeSync();
    const planted = open(restore(plainSuccessor(made())), { ...readonly, keyRing: ringOf(1) });
    expect(() => texts(planted.replay())).toThrow(badKey({ reason: 'plaintext' }));
    expect(() => texts(planted.replayFrom(planted.lastLsn))).toThrow(badKey({ reason: 'plaintext' }));
    const { io, lastLsn } = planted;
    for (const from of ['first', lastLsn] as const) {
      const tail = new LogTail(io, DIRECTORY, { from, keyRing: ringOf(1) });
      const replay = replayDirectory(DIRECTORY, { from, io, keyRing: ringOf(1) });
      expect(() => follow(tail)).toThrow(badKey({ reason: 'plaintext', lsn: lastLsn }));
      expect(() => texts(replay)).toThrow(badKey({ reason: 'plaintext', lsn: lastLsn }));
      tail.close();
    }
    const lenient = new LogTail(io, DIRECTORY, { from: lastLsn, keyRing: ringOf(1), allowPlaintext: true });
    expect(follow(lenient)).toEqual(['planted']);
    lenient.close();
    planted.closeSync();
  });

  test('that was not encrypted goes on encrypted, and reads both', () => {
    const io = createMemoryStorageIo();
    const plain = open(io);
    plain.append('in the clear');
    plain.closeSync();
    const wal = open(io, { keyRing: ringOf(1), allowPlaintext: true });
    wal.append('not so');
    wal.syncSync();
    expect(texts(wal.replay())).toEqual(['in the clear', 'not so']);
    expect(wal.listSegments().map(({ keyId }) => keyId)).toEqual([0, 1]);
    wal.closeSync();
    refused(snapshot(io, DIRECTORY), {}, { reason: 'missing-key', keyId: 1 });
  });

  test('with nothing in its newest segment is not refused because of the key of that one', () => {
    const io = createMemoryStorageIo();
    const wal = open(io, { keyRing: ringOf(1) });
    wal.append('x');
    wal.syncSync();
    wal.truncateBeforeSync(2);
    const files = snapshot(io, DIRECTORY);
    for (const config of [{}, { keyRing: ringOf(2) }]) {
      const restored = restore(files);
      const again = open(restored, config);
      expect([again.nextLsn, texts(again.replay())]).toEqual([2, []]);
      again.append('goes on');
      again.closeSync();
    }
  });

  test('has a mark that is not encrypted, and batches and torn tails like any other', () => {
    const io = createMemoryStorageIo();
    const wal = open(io, { keyRing: ringOf(1) });
    wal.append('kept');
    wal.syncSync();
    wal.appendBatch(new Batch().add('torn 1').add('torn 2').add('torn 3'));
    wal.flushSync();
    const files = snapshot(io, DIRECTORY);
    const [name] = segmentNames(files) as [string];
    const last = recordsOf(files.get(name) as Uint8Array).at(-1)?.end as number;
    const torn = restore(changed(files, name, (bytes) => bytes.slice(0, last - 1)));
    const again = open(torn, { keyRing: ringOf(1) });
    expect(texts(again.replay())).toEqual(['kept']);
    again.closeSync();
  });
});

describe('setEncryptionRing', () => {
  const open = (io = createMemoryStorageIo(), config: Partial<SegmentedWalConfig> = {}) => openIn(io, config);

  test('before the first append encrypts everything, in a segment that takes the place of the empty one', () => {
    const io = createMemoryStorageIo();
    const wal = open(io);
    expect(wal.encryptionRing).toBeUndefined();
    const ring = ringOf(7);
    wal.setEncryptionRing(ring);
    expect(wal.encryptionRing).toBe(ring);
    wal.append('secret');
    wal.syncSync();
    expect(wal.listSegments().map(({ number, keyId, firstLsn }) => [number, keyId, firstLsn])).toEqual([[2, 7, 1]]);
    expect(segmentNames(snapshot(io, DIRECTORY))).toEqual(['wal-0000000002-00000000000000000001.seg']);
    expect(texts(wal.replay())).toEqual(['secret']);
    for (const bytes of snapshot(io, DIRECTORY).values()) expect(Buffer.from(bytes).includes('secret')).toBe(false);
    wal.closeSync();
    const again = open(io, { keyRing: ring });
    expect(texts(again.replay())).toEqual(['secret']);
    again.closeSync();
  });

  test('after an append is refused, whatever became of it', () => {
    const wal = open();
    wal.append('x');
    const refusedNow = (): void =>
      expect(() => wal.setEncryptionRing(ringOf(1))).toThrow(
        expect.objectContaining({ code: 'WAL_STATE', state: 'appended' }),
      );
    refusedNow();
    wal.syncSync();
    refusedNow();
    wal.truncateBeforeSync(2);
    refusedNow();
    wal.closeSync();
    expect(() => wal.setEncryptionRing(ringOf(1))).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
  });

  test('is refused where the callback of the ring appends, or closes the log', async () => {
    const asked = async (meanwhile: (wal: SegmentedWal) => void): Promise<StorageIo> => {
      const io = createMemoryStorageIo();
      const wal = open(io);
      const ring = KeyRing.fromCallback(1, () => {
        meanwhile(wal);
        return key(1).key;
      });
      expect(() => wal.setEncryptionRing(ring)).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^WAL_(STATE|CLOSED)$/) }),
      );
      expect(wal.encryptionRing).toBeUndefined();
      await wal.close();
      return io;
    };
    await asked((wal) => wal.closeSync());
    const io = await asked((wal) => wal.append('in the clear'));
    const again = open(io);
    expect(texts(again.replay())).toEqual(['in the clear']);
    again.closeSync();
  });

  test('refuses what is no ring, a ring without its key, and one without the key of the newest records', () => {
    const io = createMemoryStorageIo();
    let wal = open(io, { keyRing: ringOf(1) });
    wal.append('x');
    wal.closeSync();
    wal = open(io, { keyRing: ringOf(1) });
    expect(() => wal.setEncryptionRing({} as never)).toThrow(TypeError);
    expect(() => wal.setEncryptionRing(ringOf(2))).toThrow(badKey({ reason: 'missing-key', keyId: 1 }));
    const later = KeyRing.fromCallback(3, async () => new Uint8Array(32));
    expect(() => wal.setEncryptionRing(later)).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED', keyId: 3 }));
    const none = KeyRing.fromCallback(3, () => undefined);
    expect(() => wal.setEncryptionRing(none)).toThrow(badKey({ reason: 'missing-key', keyId: 3 }));
    expect(wal.encryptionRing?.currentId).toBe(1);
    wal.setEncryptionRing(ringOf(2, 1));
    wal.append('y');
    expect(texts(wal.replay())).toEqual(['x', 'y']);
    wal.closeSync();
  });

  test('does not open with a ring that lacks its current key, and changes nothing', () => {
    const ring = (): KeyRing => KeyRing.fromCallback(3, (id) => (id === 1 ? key(1).key : undefined));
    const refused = badKey({ reason: 'missing-key', keyId: 3 });
    const fresh = createMemoryStorageIo();
    expect(() => openIn(fresh, { keyRing: ring() })).toThrow(refused);
    expect([...snapshot(fresh, DIRECTORY).keys()]).toEqual([]);

    const io = createMemoryStorageIo();
    const wal = openIn(io, { keyRing: ringOf(1) });
    wal.append('x');
    wal.syncSync();
    const killed = snapshot(io, DIRECTORY);
    const again = restore(killed);
    expect(() => openIn(again, { keyRing: ring() })).toThrow(refused);
    expect(sameFiles(snapshot(again, DIRECTORY), killed)).toBe(true);
  });

  test('refuses a ring that has another key under the number of the newest records, and changes nothing', () => {
    const io = createMemoryStorageIo();
    const ring = ringOf(1);
    let wal = open(io, { keyRing: ring });
    wal.append('x');
    wal.closeSync();
    wal = open(io, { keyRing: ring });
    const other = KeyRing.of({ id: 1, key: key(9).key });
    expect(() => wal.setEncryptionRing(other)).toThrow(badKey({ reason: 'wrong-key', keyId: 1 }));
    expect(wal.encryptionRing).toBe(ring);
    wal.setEncryptionRing(ringOf(1));
    wal.append('y');
    expect(texts(wal.replay())).toEqual(['x', 'y']);
    wal.closeSync();
  });

  test('has the first record under the key of that ring, also where the empty segment has one of the same number', () => {
    const io = createMemoryStorageIo();
    const wal = open(io, { keyRing: ringOf(1) });
    const other = KeyRing.of({ id: 1, key: key(9).key });
    wal.setEncryptionRing(other);
    wal.append('x');
    wal.syncSync();
    expect(texts(wal.replay())).toEqual(['x']);
    wal.closeSync();
    const again = open(io, { keyRing: other });
    expect(texts(again.replay())).toEqual(['x']);
    again.closeSync();
  });
});

describe('rotateKey', () => {
  test('of a log without a ring, or to a key that is not there, is refused and changes nothing', async () => {
    const wal = openIn(createMemoryStorageIo());
    await expect(wal.rotateKey()).rejects.toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
    expect(() => wal.rotateKeySync()).toThrow(expect.objectContaining({ code: 'WAL_STATE' }));
    wal.setEncryptionRing(ringOf(1));
    wal.append('x');
    await expect(wal.rotateKey(2)).rejects.toThrow(badKey({ reason: 'missing-key', keyId: 2 }));
    expect(() => wal.rotateKeySync(2)).toThrow(badKey({ reason: 'missing-key', keyId: 2 }));
    await expect(wal.rotateKey(0)).rejects.toThrow(RangeError);
    expect(wal.encryptionRing?.currentId).toBe(1);
    wal.closeSync();
  });

  test('of an empty log has the first record under the new key', () => {
    const ring = ringOf(1);
    ring.add(key(2));
    const io = createMemoryStorageIo();
    const wal = openIn(io, { keyRing: ring });
    wal.rotateKeySync(2);
    wal.append('x');
    wal.syncSync();
    wal.rotateKeySync();
    wal.append('y');
    wal.syncSync();
    expect(wal.listSegments().map(({ keyId, firstLsn }) => [keyId, firstLsn])).toEqual([
      [2, 1],
      [2, 2],
    ]);
    wal.closeSync();
    const again = openIn(io, { keyRing: ringOf(2) });
    expect(texts(again.replay())).toEqual(['x', 'y']);
    again.closeSync();
  });

  test('does not go over to the new key in a segment that was begun', () => {
    const ring = ringOf(1);
    ring.add(key(2));
    const wal = openIn(createMemoryStorageIo(), { keyRing: ring });
    wal.append('x');
    ring.use(2);
    wal.append('still under key 1');
    wal.syncSync();
    expect(wal.listSegments().map(({ keyId }) => keyId)).toEqual([1]);
    wal.rotateKeySync();
    wal.append('z');
    wal.syncSync();
    expect(wal.listSegments().map(({ keyId }) => keyId)).toEqual([1, 2]);
    expect(texts(wal.replay())).toEqual(['x', 'still under key 1', 'z']);
    wal.closeSync();
  });
});

describe('a key service', () => {
  const service = () => vi.fn(async (id: number) => (id <= 3 ? key(id).key : undefined));

  test('is asked for the keys that are needed, when they are', async () => {
    const io = createMemoryStorageIo();
    const source = service();
    const wal = await SegmentedWal.open({ directory: DIRECTORY, io, keyRing: KeyRing.fromCallback(1, source) });
    expect(source.mock.calls).toEqual([[1]]);
    wal.append('under key 1');
    await wal.rotateKey(2);
    wal.append('under key 2');
    await wal.close();
    expect(source.mock.calls).toEqual([[1], [2]]);

    const later = service();
    const again = await SegmentedWal.open({ directory: DIRECTORY, io, keyRing: KeyRing.fromCallback(3, later) });
    expect(later.mock.calls).toEqual([[2], [3]]);
    expect(await all(again.replay())).toEqual(['|under key 1', '|under key 2']);
    expect(later.mock.calls).toEqual([[2], [3], [1]]);
    await again.close();
  });

  test('that returns a promise cannot be awaited by a blocking call', async () => {
    const io = createMemoryStorageIo();
    const unsupported = expect.objectContaining({ code: 'WAL_UNSUPPORTED' });
    expect(() => openIn(io, { keyRing: KeyRing.fromCallback(1, service()) })).toThrow(unsupported);
    const ring = KeyRing.fromCallback(1, service());
    await ring.load();
    let wal = openIn(io, { keyRing: ring });
    wal.append('x');
    expect(() => wal.rotateKeySync(2)).toThrow(unsupported);
    await wal.rotateKey(2);
    wal.append('y');
    wal.closeSync();

    const fresh = KeyRing.fromCallback(2, service());
    await fresh.load();
    wal = openIn(io, { keyRing: fresh });
    expect(() => texts(wal.replay())).toThrow(unsupported);
    expect(await all(wal.replay())).toEqual(['|x', '|y']);
    expect(texts(wal.replay())).toEqual(['x', 'y']);
    wal.closeSync();
  });

  test('that fails is WAL_BAD_KEY with its reason, and the log is as it was', async () => {
    const io = createMemoryStorageIo();
    const cause = new Error('the service is down');
    const keyRing = KeyRing.fromCallback(1, async () => {
      throw cause;
    });
    await expect(SegmentedWal.open({ directory: DIRECTORY, io, keyRing })).rejects.toThrow(
      badKey({ reason: 'key-source', keyId: 1, cause }),
    );
    expect(segmentNames(snapshot(io, DIRECTORY))).toEqual([]);
    const wal = openIn(io);
    wal.closeSync();
  });
});

describe('compression', () => {
  const text = 'a line of text that is much like the others\n';

  test.each([[undefined], [ringOf(1)]])('makes what it can smaller, and gives all of it back (ring %#)', (keyRing) => {
    const io = createMemoryStorageIo();
    const config = { keyRing, compression: { codec: 'deflate', thresholdBytes: 200 } } as const;
    const wal = openIn(io, config);
    const random = Uint8Array.from({ length: 3000 }, (_, index) => (index * index * 7919) >>> 3);
    wal.append(text.repeat(100), { meta: text });
    wal.append(text);
    wal.append(random);
    wal.appendBatch(new Batch().add(text.repeat(50)).add('x').add(text.repeat(70)));
    const { pendingBytes } = wal;
    expect(pendingBytes).toBeLessThan(random.length + 1500);
    wal.closeSync();
    const [name] = segmentNames(snapshot(io, DIRECTORY)) as [string];
    const bytes = snapshot(io, DIRECTORY).get(name) as Uint8Array;
    const codecs = recordsOf(bytes)
      .filter(({ mark }) => !mark)
      .map(({ start }) => bytes[start + 27]);
    const { deflate, none } = CodecNumber;
    expect(codecs).toEqual([deflate, none, codecs[2], deflate, none, deflate]);
    const again = openIn(io, config);
    const found = [...again.replay()];
    expect(texts(found).toSpliced(2, 1)).toEqual([text.repeat(100), text, text.repeat(50), 'x', text.repeat(70)]);
    expect(Buffer.compare(found[2]?.payload as Uint8Array, random)).toBe(0);
    expect(Buffer.from(found[0]?.meta as Uint8Array).toString()).toBe(text);
    const views = [...again.replay({ copy: false })].map(({ payload }) => payload.length);
    expect(views).toEqual(found.map(({ payload }) => payload.length));
    again.closeSync();
    // A log without compression reads it back.
    const plain = openIn(io, { keyRing });
    expect(texts(plain.replay())[0]).toBe(text.repeat(100));
    plain.closeSync();
  });

  test('of a payload that would take more memory than it may is WAL_TOO_LARGE when it is read', () => {
    const io = createMemoryStorageIo();
    const wal = openIn(io, { compression: { codec: 'deflate' } });
    wal.append(new Uint8Array(1_000_000));
    wal.append('small');
    wal.closeSync();
    const again = openIn(io, { maxPayloadBytes: 10_000 });
    expect(() => texts(again.replay())).toThrow(
      expect.objectContaining({ code: 'WAL_TOO_LARGE', lsn: 1, limit: 10_000, reason: 'compressed-payload' }),
    );
    expect(texts(again.replayFrom(2))).toEqual(['small']);
    again.closeSync();
  });
});

describe('options', () => {
  test.each([
    [{ keyRing: {} }, 'ERR_INVALID_ARG_TYPE'],
    [{ keyRing: null }, 'ERR_INVALID_ARG_TYPE'],
    [{ allowPlaintext: 1 }, 'ERR_INVALID_ARG_TYPE'],
    [{ compression: 'deflate' }, 'ERR_INVALID_ARG_TYPE'],
    [{ compression: { codec: 'lz4' } }, 'ERR_OUT_OF_RANGE'],
    [{ compression: { codec: 'deflate', level: 99 } }, 'ERR_OUT_OF_RANGE'],
  ])('%o is refused', (config, code) => {
    const io = createMemoryStorageIo();
    expect(() => openIn(io, config as never)).toThrow(expect.objectContaining({ code }));
  });
});

/** Everything that a tail has to give now. */
function follow(tail: LogTail): string[] {
  const found: string[] = [];
  while (tail.advanceSync()) {
    for (let record = tail.next(); record !== undefined; record = tail.next()) {
      found.push(Buffer.from(record.payload).toString());
    }
  }
  return found;
}

/** CRC32C bit by bit, apart from the library's. */
function crc32c(...pieces: readonly Uint8Array[]): number {
  let crc = ~0;
  for (const byte of Buffer.concat(pieces)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** The file with the checksum of one frame put right. */
function resealed(bytes: Uint8Array, { start, end }: { start: number; end: number }, id: Uint8Array): Uint8Array {
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(start + 4, crc32c(id, bytes.subarray(start + 8, end)), true);
  return bytes;
}

/** The files with a segment behind the newest one that was forged without a key. */
function plainSuccessor(files: Snapshot): Snapshot {
  const newest = segmentNames(files).at(-1) as string;
  const number = Number(newest.slice(4, 14)) + 1;
  const io = createMemoryStorageIo();
  const firstLsn = recordsOf(files.get(newest) as Uint8Array).findLast(({ mark }) => mark)?.lsn as number;
  const donor = openIn(io, { firstLsn });
  donor.append('planted');
  donor.closeSync();
  const [name] = segmentNames(snapshot(io, DIRECTORY)) as [string];
  const bytes = snapshot(io, DIRECTORY).get(name) as Uint8Array;
  const predecessor = files.get(newest) as Uint8Array;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const from = new DataView(predecessor.buffer, predecessor.byteOffset);
  view.setBigUint64(24, BigInt(number), true);
  bytes.set(predecessor.subarray(32, 48), 32);
  view.setBigUint64(80, from.getBigUint64(80, true) + BigInt(predecessor.length - 512), true);
  view.setBigUint64(88, BigInt(number - 1), true);
  bytes.set(predecessor.subarray(48, 64), 96);
  view.setUint32(124, crc32c(bytes.subarray(0, 124)), true);
  const planted = new Map(files);
  const target = createMemoryStorageIo();
  target.makeDirectory('/x');
  writeFile(target, '/x/f', bytes);
  planted.set(
    `wal-${String(number).padStart(10, '0')}-${String(firstLsn).padStart(20, '0')}.seg`,
    readFile(target, '/x/f'),
  );
  return planted;
}
