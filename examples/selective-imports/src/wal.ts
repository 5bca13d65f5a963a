/** The complete stack, for comparison. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wal } from '@walstack/wal';

const folder = mkdtempSync(join(tmpdir(), 'walstack-all-'));
const wal = await Wal.open(join(folder, 'log'));
const lsns = await Promise.all(['a', 'b', 'c'].map((event) => wal.commit(event)));
console.log(`committed together: ${lsns.join(' ')}`);
await wal.shutdown();
rmSync(folder, { recursive: true });
