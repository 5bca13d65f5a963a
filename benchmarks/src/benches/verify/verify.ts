import { PassThrough, Writable } from 'node:stream';
import { run } from '@walstack/cli';
import type { Case, Contestant } from '../../case.js';
import { MEBIBYTE, type Settings } from '../../settings.js';
import { nativeScan, nativeScanMissing } from '../../yardsticks/native-scan.js';
import { bytesOf, type LargeLog, makeLog, once } from '../turns/large-log.js';

/** Verifies a log. @returns how many records or frames it has */
type Verification = (log: LargeLog) => Promise<number>;

/** `walstack verify` of a large log from a warm cache, beside a native pass over its checksums that does nothing else. */
export function verify({ scratch, verifyBytes }: Settings): Case[] {
  const log = once(() => makeLog(scratch.next('log'), verifyBytes, {}));
  const contestant = (subject: string, verification: Verification): Contestant => ({
    subject,
    measure: async () => {
      const made = await log();
      const begun = performance.now();
      const count = await verification(made);
      const seconds = (performance.now() - begun) / 1000;
      if (count < made.records) throw new Error(`${count} records of ${made.records} were verified`);
      return { value: bytesOf(made.path) / seconds };
    },
  });
  return [
    {
      bench: 'verify',
      name: `verify MiB=${Math.round(verifyBytes / MEBIBYTE)}`,
      unit: 'bytes/s',
      contestants: [
        contestant('walstack verify', byCommand),
        ...(nativeScanMissing === undefined ? [contestant('native-scan', byScan)] : []),
      ],
    },
  ];
}

// The frames of the log include its marks.
const byScan: Verification = async ({ path }) => nativeScan(path).frames;

/** Runs the command in this process, on streams in memory. */
const byCommand: Verification = async ({ path }) => {
  let text = '';
  const stdout = new Writable({
    write: (chunk, _encoding, done) => {
      text += chunk;
      done();
    },
  });
  const code = await run(['verify', path, '--json'], { stdout, stderr: new PassThrough(), stdin: new PassThrough() });
  if (code !== 0) throw new Error(`walstack verify has returned ${code}: ${text}`);
  return JSON.parse(text).report.records;
};
