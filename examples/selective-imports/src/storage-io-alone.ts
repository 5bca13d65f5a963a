/** Tear-safe appends to one file, without the layers above. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PortableWalWriter, readFrames } from '@walstack/storage-io';

const folder = mkdtempSync(join(tmpdir(), 'walstack-frames-'));
const path = join(folder, 'measurements');

const writer = await PortableWalWriter.open(path, { framed: true });
for (const value of [20.5, 21, 21.5]) await writer.appendWithChecksumBatched(`${value}`);
await writer.flushBatch();
await writer.close();

const values: string[] = [];
for await (const { data } of readFrames(path)) values.push(Buffer.from(data).toString());
console.log(`durable in one file: ${values.join(' ')}`);
rmSync(folder, { recursive: true });
