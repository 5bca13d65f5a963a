/** A log whose caller decides when to sync, without promises. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';

const folder = mkdtempSync(join(tmpdir(), 'walstack-ledger-'));
const log = SegmentedWal.openSync({ directory: join(folder, 'ledger') });
for (const entry of ['debit 20', 'credit 20']) log.append(entry);
log.syncSync();
const entries = [...log.replay()].map(({ payload }) => Buffer.from(payload).toString());
console.log(`synced by hand: ${entries.join(', ')}, durable up to ${log.durableLsn}`);
log.closeSync();
rmSync(folder, { recursive: true });
