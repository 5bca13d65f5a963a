// The same as use.mjs in TypeScript, with typed events.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { available } from '@walstack/native';
import { Wal } from '@walstack/wal';

interface Order {
  readonly text: string;
}

const folder: string = mkdtempSync(join(tmpdir(), 'walstack-use-'));
const written = await Wal.open<Order>(join(folder, 'log'), { encoding: 'json' });
const lsns: number[] = await Promise.all([written.commit({ text: 'one' }), written.commit({ text: 'two' })]);
await written.shutdown();

const wal = await Wal.open<Order>(join(folder, 'log'), { encoding: 'json' });
const texts: string[] = [];
await wal.replay(lsns[0] ?? 'first', ({ payload }) => {
  texts.push(payload.text);
});
await wal.shutdown();
rmSync(folder, { recursive: true });
console.log(JSON.stringify({ available, texts }));
