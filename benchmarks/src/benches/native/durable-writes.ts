import { readFileSync } from 'node:fs';
import { CompletionBuffer, createIoUringStorageIo, ringSupport } from '@walstack/storage-io';
import type { Case, Contestant } from '../../case.js';
import { Latencies } from '../../rows/latencies.js';
import type { Settings } from '../../settings.js';
import type { DurableLoop } from '../../yardsticks/durable-loop.js';

const DEPTHS = [1, 4, 16];
const BLOCK_BYTES = 4096;
/** As in the yardstick: the blocks that are written again and again. */
const FILE_BYTES = 16 * 1024 * 1024;

/** Durable direct writes of one block each, so many under way at a time, beside the same loop without JavaScript. */
export function durableWrites(settings: Settings): Case[] {
  const loops = [settings.nativeLoop, settings.fio].filter((loop) => loop !== undefined);
  return DEPTHS.flatMap((depth) => {
    const contestants = [
      ...(ringSupport().available ? [walstack(settings, depth)] : []),
      ...loops.map((loop) => looping(settings, loop, depth)),
    ];
    const name = `durable-write depth=${depth}`;
    return contestants.length === 0 ? [] : [{ bench: 'native', name, unit: 'writes/s', contestants }];
  });
}

/** On the event loop, through the backend's own completions. */
function walstack({ scratch, durationMs }: Settings, depth: number): Contestant {
  return {
    subject: 'walstack/io-uring',
    measure: async () => {
      const path = scratch.next('file');
      await using io = createIoUringStorageIo();
      const file = io.open(path, { create: true, direct: true });
      const memory = Array.from({ length: depth }, (_, slot) => io.allocateBuffer(BLOCK_BYTES).fill(slot + 1));
      const out = new CompletionBuffer(depth);
      const filling = io.allocateBuffer(1024 * 1024).fill(255);
      for (let offset = 0; offset < FILE_BYTES; offset += filling.length) {
        io.submitWrite(file, filling, offset);
        io.waitCompletions(out, 1);
      }
      io.submitDatasync(file);
      io.waitCompletions(out, 1);

      const durable = { durable: true };
      const latencies = new Latencies();
      /** What a token has under way, by how many tokens were given out: a token is the number of its submission. */
      const slots = new Int32Array(64 * 1024);
      const begun = new Float64Array(depth);
      let next = 0;
      let writes = 0;
      const submit = (slot: number, now: number): void => {
        const offset = (next++ * BLOCK_BYTES) % FILE_BYTES;
        slots[io.submitWrite(file, memory[slot] as Uint8Array, offset, durable) & 0xffff] = slot;
        begun[slot] = now;
      };
      const start = performance.now();
      const end = await new Promise<number>((resolve) => {
        io.onReady(() => {
          const count = io.pollCompletions(out);
          const now = performance.now();
          for (let index = 0; index < count; index++) {
            if (out.results[index] !== BLOCK_BYTES) throw new Error(`a durable write came to ${out.results[index]}`);
            const slot = slots[(out.tokens[index] as number) & 0xffff] as number;
            latencies.add((now - (begun[slot] as number)) * 1000);
            writes++;
            if (now - start < durationMs) submit(slot, now);
          }
          if (io.pending === 0) resolve(now);
        });
        for (let slot = 0; slot < depth; slot++) submit(slot, start);
        io.flush();
      });
      if (!file.direct) throw new Error(`there is no direct I/O at ${path}: measure on a disk (--data)`);
      io.close(file);
      check(path, writes, depth);
      scratch.remove(path);
      return { value: (writes * 1000) / (end - start), latency: latencies.summary };
    },
  };
}

/** What was written is there: as many blocks as were written, from the start of the file. */
function check(path: string, writes: number, depth: number): void {
  const content = readFileSync(path);
  const blocks = Math.min(writes, FILE_BYTES / BLOCK_BYTES);
  for (let block = 0; block < blocks; block++) {
    const first = content[block * BLOCK_BYTES] as number;
    const last = content[block * BLOCK_BYTES + BLOCK_BYTES - 1];
    if (first < 1 || first > depth || first !== last) throw new Error(`block ${block} of ${path} was not written`);
  }
}

function looping({ scratch, durationMs }: Settings, loop: DurableLoop, depth: number): Contestant {
  return {
    subject: loop.name,
    measure: async () => {
      const path = scratch.next('file');
      const { writesPerSecond, ...latency } = loop.run({ path, depth, bytes: BLOCK_BYTES, durationMs });
      scratch.remove(path);
      return { value: writesPerSecond, latency };
    },
  };
}
