// Opens a log and holds it until it is killed. node holder-child.mjs DIRECTORY
import { writeSync } from 'node:fs';
import { Wal } from '@walstack/wal';

const [directory] = process.argv.slice(2);
const wal = await Wal.open(directory, { io: 'sync-fs' });
await wal.commit('by the child');
writeSync(1, 'open\n');
setInterval(() => wal.state, 1000);
