import assert from 'node:assert/strict';
import type { IoFile } from '../storage-io.js';
import { Expected, numbers } from './any-order.js';
import { DURABLE, directorySynced, durablyWritten, named, synced } from './power-cuts.js';
import { assertBytes, bytes, type ConformanceCase } from './subject.js';

const ROUNDS = 60;

/** A file, and what of it must be there after a power cut. */
class Tracked {
  readonly written = new Expected();
  readonly durable = new Expected();
  /** For each durable byte, whether it was overwritten since. */
  #over = new Uint8Array(0);

  constructor(readonly file: IoFile) {}

  write(data: Uint8Array, offset: number, durable: boolean): void {
    this.written.write(data, offset);
    if (durable) {
      this.durable.write(data, offset);
      const over = new Uint8Array(this.durable.bytes.length);
      over.set(this.#over);
      // Between the old end and this write there may be plain writes, which may be lost.
      over.fill(1, this.#over.length, Math.max(offset, this.#over.length));
      this.#over = over.fill(0, offset, offset + data.length);
    } else {
      this.#over.fill(1, offset, offset + data.length);
    }
  }

  synced(): void {
    this.durable.bytes = this.written.bytes.slice();
    this.#over = new Uint8Array(this.durable.bytes.length);
  }

  check(content: Uint8Array, what: string): void {
    const { bytes: expected } = this.durable;
    assert.ok(content.length >= expected.length, `${what}: ${content.length} of ${expected.length} bytes`);
    const lost = expected.findIndex((byte, index) => this.#over[index] === 0 && content[index] !== byte);
    assert.equal(lost, -1, `${what}: byte ${lost} was durable`);
  }
}

/** Bytes followed by others. */
function joined(before: Uint8Array, behind: Uint8Array): Uint8Array {
  const all = new Uint8Array(before.length + behind.length);
  all.set(before);
  all.set(behind, before.length);
  return all;
}

/** Syncs that overlap, and many syncs in random order. */
export const powerCutsAtLength: readonly ConformanceCase[] = (
  [
    {
      name: 'datasyncs of several files at a time make each of them durable',
      async run(subject) {
        const files = [];
        for (const name of ['a', 'b', 'c', 'd']) files.push(await named(subject, name));
        for (const [index, file] of files.entries()) await subject.write(file, bytes(5000, index), 0);
        const tokens = files.map((file) => subject.submitted(subject.io.submitDatasync(file)));
        assert.deepEqual(await subject.results(...tokens), [0, 0, 0, 0]);
        const after = await subject.afterPowerCut();
        for (const [index, name] of ['a', 'b', 'c', 'd'].entries()) {
          assertBytes(await after.content(name), bytes(5000, index), name);
        }
      },
    },
    {
      name: 'a datasync makes durable what was written through other opens of its file, closed or not',
      async run(subject) {
        const { io } = subject;
        const file = await named(subject, 'file', bytes(4096, 1));
        const beside = subject.open('file');
        const closed = subject.open('file');
        await subject.write(beside, bytes(4096, 2), 4096);
        await subject.write(closed, bytes(4096, 3), 8192);
        io.close(closed);
        await synced(subject, file);
        const after = await subject.afterPowerCut();
        const content = await after.content('file');
        assert.equal(content.length, 12_288);
        for (const part of [0, 1, 2]) {
          assertBytes(content.subarray(part * 4096, (part + 1) * 4096), bytes(4096, part + 1), `part ${part}`);
        }
      },
    },
    {
      name: 'a datasync makes durable what was written to its file under an earlier name',
      async run(subject) {
        const { io } = subject;
        for (const reopened of [false, true]) {
          const [from, to] = reopened ? ['a', 'b'] : ['c', 'd'];
          const written = await named(subject, from, bytes(4096, 1));
          await subject.write(written, bytes(4096, 2), 4096);
          io.rename(subject.path(from), subject.path(to));
          await directorySynced(subject);
          if (reopened) io.close(written);
          await synced(subject, reopened ? subject.open(to) : written);
        }
        const after = await subject.afterPowerCut();
        for (const name of ['b', 'd']) {
          const content = await after.content(name);
          assert.equal(content.length, 8192, name);
          assertBytes(content.subarray(4096), bytes(4096, 2), name);
        }
      },
    },
    {
      name: 'what was written with direct I/O is durable by a datasync, or as a durable write',
      async run(subject) {
        const { io } = subject;
        const files: IoFile[] = [];
        for (const name of ['plain', 'durable', 'grown']) {
          io.close(await named(subject, name, bytes(name === 'grown' ? 0 : 65_536, 1)));
          files.push(subject.open(name, { direct: true }));
        }
        const [plain, durable, grown] = files as [IoFile, IoFile, IoFile];
        if (!plain.direct) return;
        const block = io.allocateBuffer(plain.alignment);
        block.set(bytes(block.length, 2));
        await subject.write(plain, block, block.length);
        await synced(subject, plain);
        await subject.write(grown, block, block.length);
        await synced(subject, grown);
        const isDurable = io.capabilities.durableWrites;
        if (isDurable) await durablyWritten(subject, durable, block, block.length);
        const after = await subject.afterPowerCut();
        const own = (content: Uint8Array): Uint8Array => content.subarray(block.length, 2 * block.length);
        assertBytes(own(await after.content('plain')), block, 'plain');
        assertBytes(await after.content('grown'), joined(new Uint8Array(block.length), block), 'grown');
        if (isDurable) assertBytes(own(await after.content('durable')), block, 'durable');
      },
    },
    {
      name: 'the sync of a directory covers all names before it, also while another sync is in flight',
      async run(subject) {
        const { io } = subject;
        const made: string[] = [];
        const file = await named(subject, 'file');
        // Repeated until one was still in flight, which does not happen on every backend: a later sync would hide a
        // missing one.
        for (let besideAnother = false; made.length < 64 && !besideAnother; ) {
          const names = [`${made.length}`, `${made.length} beside`] as const;
          io.close(subject.open(names[0]));
          const first = subject.submitted(io.submitSyncDirectory(subject.directory));
          await subject.write(file, bytes(10), 0);
          io.close(subject.open(names[1]));
          besideAnother = !subject.hasCompleted(first);
          const second = subject.submitted(io.submitSyncDirectory(subject.directory));
          assert.deepEqual(await subject.results(first, second), [0, 0]);
          made.push(...names);
        }
        const after = await subject.afterPowerCut();
        assert.deepEqual(after.io.list(after.directory), [...made, 'file'].sort());
      },
    },
    {
      name: 'syncs of several directories at a time make the names of each durable',
      async run(subject) {
        const { io } = subject;
        const directories = ['a', 'b', 'c'];
        for (const directory of directories) io.makeDirectory(subject.path(directory));
        await directorySynced(subject);
        for (const directory of directories) io.close(subject.open(`${directory}/file`));
        const tokens = directories.map((each) => subject.submitted(io.submitSyncDirectory(subject.path(each))));
        assert.deepEqual(await subject.results(...tokens), [0, 0, 0]);
        const after = await subject.afterPowerCut();
        for (const directory of directories) assert.deepEqual(after.io.list(after.path(directory)), ['file']);
      },
    },
    {
      name: 'a file that was moved to another directory is found there when both were synced',
      async run(subject) {
        const { io } = subject;
        io.makeDirectory(subject.path('directory'));
        await directorySynced(subject);
        io.close(await named(subject, 'file', bytes(500)));
        io.rename(subject.path('file'), subject.path('directory/file'));
        await directorySynced(subject, subject.path('directory'));
        await directorySynced(subject);
        const after = await subject.afterPowerCut();
        assert.deepEqual(after.io.list(after.directory), ['directory']);
        assertBytes(await after.content('directory/file'), bytes(500));
      },
    },
    {
      name: 'random writes and syncs of several files: what was synced is found',
      async run(subject) {
        const { io } = subject;
        const below = numbers(2);
        const tracked = new Map<string, Tracked>();
        for (const name of ['a', 'b', 'c']) tracked.set(name, new Tracked(await named(subject, name)));
        const all = [...tracked.values()];
        for (let round = 1; round <= ROUNDS; round++) {
          const one = all[below(all.length)] as Tracked;
          const data = bytes(1 + below(6000), round);
          const offset = below(Math.min(one.written.bytes.length + 2000, 30_000));
          const durable = io.capabilities.durableWrites && below(4) === 0;
          if (durable) await durablyWritten(subject, one.file, data, offset);
          else await subject.write(one.file, data, offset);
          one.write(data, offset, durable);
          const some = below(3) === 0 ? all.filter(() => below(2) === 0) : [];
          // No sync follows the last ones, which could hide that one is missing.
          const toSync = round === ROUNDS ? all.slice(1) : some;
          const tokens = toSync.map(({ file }) => subject.submitted(io.submitDatasync(file)));
          for (const result of await subject.results(...tokens)) assert.equal(result, 0);
          for (const each of toSync) each.synced();
        }
        const after = await subject.afterPowerCut();
        for (const [name, each] of tracked) each.check(await after.content(name), name);
      },
    },
    {
      name: 'durable writes are durable with other writes of the file in flight',
      async run(subject) {
        const { io } = subject;
        if (!io.capabilities.durableWrites) return;
        const file = await named(subject, 'file', bytes(16 * 4096, 1));
        const tokens = Array.from({ length: 16 }, (_, block) => {
          const options = block % 2 === 0 ? DURABLE : {};
          return subject.submitted(io.submitWrite(file, bytes(4096, block + 2), block * 4096, options));
        });
        for (const result of await subject.results(...tokens)) assert.equal(result, 4096);
        const content = await (await subject.afterPowerCut()).content('file');
        for (let block = 0; block < 16; block += 2) {
          assertBytes(content.subarray(block * 4096, (block + 1) * 4096), bytes(4096, block + 2), `block ${block}`);
        }
      },
    },
  ] satisfies readonly ConformanceCase[]
).map((each) => ({ ...each, needs: 'power cut' }));
