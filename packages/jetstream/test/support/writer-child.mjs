// Opens a log, ships it, and commits records until it is killed. Arguments: directory, servers, stream options as JSON.
import process from 'node:process';
import { LogShipper } from '@walstack/jetstream';
import { Wal } from '@walstack/wal';

const [directory, options] = process.argv.slice(2);
const wal = await Wal.open(directory, { segmentBytes: 64 * 1024 });
const shipper = LogShipper.start(wal, JSON.parse(options));
for (;;) {
  await Promise.all(Array.from({ length: 16 }, () => wal.commit(`record ${wal.lastLsn + 1} `.padEnd(100, '.'))));
  process.stdout.write(`${JSON.stringify({ committed: wal.durableLsn, replicated: shipper.replicatedLsn })}\n`);
}
