// What a user of the packages writes, as an ES module. Prints what it has read, and whether the addon is there.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { available } from '@walstack/native';
import { Wal } from '@walstack/wal';

const folder = mkdtempSync(join(tmpdir(), 'walstack-use-'));
const written = await Wal.open(join(folder, 'log'));
await Promise.all([written.commit('one'), written.commit('two')]);
await written.shutdown();

const wal = await Wal.open(join(folder, 'log'));
/** @type {string[]} */
const texts = [];
await wal.replay('first', ({ payload }) => {
  texts.push(Buffer.from(payload).toString());
});
await wal.shutdown();
rmSync(folder, { recursive: true });
console.log(JSON.stringify({ available, texts }));
