import { encodeFrame } from '@walstack/codec';
import {
  createMemoryStorageIo,
  fromAsyncFileOps,
  fromSyncFileOps,
  PortableWalWriter,
  type PortableWalWriterOptions,
  type StorageIo,
} from '@walstack/storage-io';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { withDirect } from './direct-ops.js';
import { contentOf, textsOf } from './portable-support.js';
import { inATurn, TinyFiles, tinyAsyncOps, tinySyncOps } from './tiny-ops.js';

const path = 'd/file';
const BLOCK = 512;

const kinds: Readonly<Record<string, () => StorageIo>> = {
  synchronous: () => {
    const io = createMemoryStorageIo();
    io.makeDirectory('d');
    return io;
  },
  'calling back': () => fromAsyncFileOps(tinyAsyncOps(new TinyFiles(), inATurn)),
  'direct and durable': () => {
    const files = new TinyFiles();
    return fromSyncFileOps(withDirect({ ...tinySyncOps(files), writeDurable: files.write.bind(files) }));
  },
  'direct, calling back': () => fromAsyncFileOps(withDirect(tinyAsyncOps(new TinyFiles(), inATurn))),
};

const data = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.uint8Array({ minLength: 490, maxLength: 520 }),
  fc.integer({ min: 1, max: 3000 }).map((length) => new Uint8Array(length).fill(length)),
);
const append = fc.record({
  what: fc.constantFrom('append' as const, 'appendBatched' as const),
  framed: fc.boolean(),
  data,
});
const other = fc.record({
  what: fc.constantFrom('flushBatch' as const, 'sync' as const, 'settle' as const, 'reopen' as const),
});
/** What is done to a writer; `settle` awaits everything that was called before. */
const calls = fc.array(fc.oneof({ weight: 3, arbitrary: append }, { weight: 1, arbitrary: other }), { maxLength: 40 });

/** The file as it should be: bytes behind each other, and where a frame would start too late in a block, zeros. */
class Model {
  bytes = Buffer.alloc(0);
  frames: string[] = [];

  add(framed: boolean, added: Uint8Array): number {
    if (!framed) {
      const position = this.bytes.length;
      this.bytes = Buffer.concat([this.bytes, added]);
      return position;
    }
    const left = BLOCK - (this.bytes.length % BLOCK);
    const position = left < 8 ? this.bytes.length + left : this.bytes.length;
    const frame = Buffer.alloc(8 + added.length);
    encodeFrame(frame, 0, added);
    this.bytes = Buffer.concat([this.bytes, Buffer.alloc(position - this.bytes.length), frame]);
    this.frames.push(Buffer.from(added).toString());
    return position;
  }
}

const CHECKED = { append: 'appendWithChecksum', appendBatched: 'appendWithChecksumBatched' } as const;

const options = (io: StorageIo, extra: PortableWalWriterOptions): PortableWalWriterOptions => ({
  io,
  blockBytes: BLOCK,
  maxBatchBytes: 2000,
  ...extra,
});

describe.each(Object.entries(kinds))('PortableWalWriter, %s', (_, make) => {
  it('writes the bytes of all calls in their order, and nothing else', async () => {
    await fc.assert(
      fc.asyncProperty(calls, async (sequence) => {
        const io = make();
        const model = new Model();
        let pending: Promise<void>[] = [];
        let writer = await PortableWalWriter.open(path, options(io, {}));
        for (const call of sequence) {
          if (call.what === 'append' || call.what === 'appendBatched') {
            const expected = model.add(call.framed, call.data);
            const name = call.framed ? CHECKED[call.what] : call.what;
            const result = writer[name](call.data);
            if (call.what === 'append') pending.push(result.then((position) => expect(position).toBe(expected)));
            else pending.push(result.then((bytes) => expect(bytes).toBeLessThan(5100)));
          } else if (call.what === 'settle') {
            await Promise.all(pending);
            pending = [];
            expect(writer.size + writer.pendingBatchBytes).toBe(model.bytes.length);
            expect(await contentOf(io, path)).toEqual(model.bytes.subarray(0, writer.size));
          } else if (call.what === 'reopen') {
            await writer.close();
            expect(await contentOf(io, path)).toEqual(model.bytes);
            writer = await PortableWalWriter.open(path, options(io, {}));
          } else {
            const upTo = model.bytes.length;
            pending.push(
              writer[call.what]().then(() =>
                expect(writer.size).toBeGreaterThanOrEqual(call.what === 'sync' ? upTo : 0),
              ),
            );
          }
        }
        await Promise.all([...pending, writer.close()]);
        expect(await contentOf(io, path)).toEqual(model.bytes);
        expect(writer.stats()).toMatchObject({ inFlight: 0, completionRate: 1, dropped: 0 });
      }),
      { numRuns: 60 },
    );
  });

  it('gives back every frame, whatever was padded', async () => {
    const flags = fc.record({ padGroups: fc.boolean(), direct: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(calls, fc.array(flags, { minLength: 1, maxLength: 4 }), async (sequence, ways) => {
        const io = make();
        const frames: string[] = [];
        let pending: Promise<unknown>[] = [];
        let lives = 0;
        const open = () => {
          const way = ways[lives++ % ways.length];
          return PortableWalWriter.open(path, options(io, { ...way, framed: true, maxUnsyncedBytes: 4096 }));
        };
        let writer = await open();
        for (const call of sequence) {
          if (call.what === 'append' || call.what === 'appendBatched') {
            frames.push(Buffer.from(call.data).toString());
            pending.push(writer[CHECKED[call.what]](call.data));
          } else if (call.what === 'settle') {
            await Promise.all(pending);
            pending = [];
          } else if (call.what === 'reopen') {
            await writer.close();
            writer = await open();
            expect(writer.recovery).toEqual({ frames: frames.length, bytesCut: 0 });
          } else pending.push(writer[call.what]());
        }
        await Promise.all([...pending, writer.close()]);
        expect(await textsOf(path, { io, blockBytes: BLOCK, maxUnsyncedBytes: 4096 })).toEqual(frames);
      }),
      { numRuns: 60 },
    );
  });
});

describe('a file of frames', () => {
  it('can hold anything: it is read, recovered or refused, and recovered the same way twice', async () => {
    const pieces = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 600 }),
        fc.integer({ min: 1, max: 700 }).map((length) => new Uint8Array(length)),
        data.map((held) => {
          const frame = new Uint8Array(8 + held.length);
          encodeFrame(frame, 0, held);
          return frame;
        }),
        // Frames that promise more than there is.
        fc.integer({ min: 1, max: 5000 }).map((length) => {
          const header = new Uint8Array(12).fill(7);
          new DataView(header.buffer).setUint32(0, length, true);
          return header;
        }),
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(pieces, fc.boolean(), async (parts, padGroups) => {
        const io = createMemoryStorageIo();
        io.makeDirectory('d');
        const content = Buffer.concat(parts);
        const file = PortableWalWriter.openSync(path, { io });
        file.appendSync(content);
        file.closeSync();
        const reading = { io, blockBytes: BLOCK, maxUnsyncedBytes: 4096 };
        const writing = { ...reading, framed: true, padGroups };
        const before = await textsOf(path, reading).catch((error: { code: string }) => error.code);
        if (typeof before === 'string') {
          expect(before).toBe('WAL_CORRUPT');
          expect(() => PortableWalWriter.openSync(path, writing)).toThrow(expect.objectContaining({ code: before }));
          expect(await contentOf(io, path)).toEqual(content);
          return;
        }
        for (const expected of [before, [...before, 'one'], [...before, 'one', 'one']]) {
          const writer = PortableWalWriter.openSync(path, writing);
          expect(writer.recovery?.frames).toBe(expected.length);
          expect(await textsOf(path, reading)).toEqual(expected);
          writer.appendWithChecksumSync('one');
          writer.closeSync();
        }
      }),
      { numRuns: 300 },
    );
  });
});
