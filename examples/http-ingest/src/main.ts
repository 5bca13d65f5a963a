import { parseArgs } from 'node:util';
import { channels } from '@walstack/wal';
import { parsing, runProgram, whole } from './command-line.js';
import { Ingest } from './ingest.js';

const HELP = `Takes events over HTTP, and answers when they are durable.

  pnpm ingest
  pnpm ingest --port 8080 --data data/http-ingest

  --port N       where it listens, 0 for any free port (default 8080)
  --host NAME    the address (default 127.0.0.1)
  --data DIR     where the log is (default data/http-ingest)
  --retain MIB   how much of the log is kept, beyond what the totals have not counted (default 256)
  --help         this text`;

const MEBIBYTE = 1024 * 1024;

const OPTIONS = {
  port: { type: 'string', default: '8080' },
  host: { type: 'string', default: '127.0.0.1' },
  data: { type: 'string', default: 'data/http-ingest' },
  retain: { type: 'string', default: '256' },
} as const;

await runProgram(HELP, main);

async function main(): Promise<void> {
  const { values } = parsing(() => parseArgs({ options: OPTIONS }));
  const port = whole('port', values.port, 0, 65_535);
  const retainBytes = whole('retain', values.retain, 1, 1_000_000) * MEBIBYTE;
  const ingest = await Ingest.open({
    directory: values.data,
    log: { retainBytes, retainUntilCheckpoint: false, segmentBytes: 4 * MEBIBYTE },
  });
  const { wal } = ingest;

  const end = async (exitCode: number): Promise<void> => {
    try {
      await ingest.close();
      console.log(`Closed: everything up to LSN ${wal.durableLsn} is durable.`);
      process.exitCode ??= exitCode;
    } catch (error) {
      console.error(`The log was not closed in order: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void end(0));
  channels.error.subscribe(({ directory, operation, error }) => {
    if (directory !== wal.directory || operation !== 'write') return;
    // It accepts nothing more until it is opened again: by the next process.
    console.error(`The log has failed: ${error.message}`);
    void end(1);
  });

  const listening = await ingest.listen(port, values.host).catch(async (error: unknown) => {
    await ingest.close();
    throw error;
  });
  console.log(`Listening on http://${values.host}:${listening}, LSN ${wal.firstLsn} to ${wal.lastLsn}`);
}
