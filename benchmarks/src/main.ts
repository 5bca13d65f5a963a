import { writeFileSync } from 'node:fs';
import { type Arguments, type Bench, HELP, readArguments, UsageError } from './arguments.js';
import { append } from './benches/append/append.js';
import { cold } from './benches/cold/cold.js';
import { crowds } from './benches/crowds/crowds.js';
import { durable } from './benches/durable/durable.js';
import { jetstream } from './benches/jetstream/jetstream.js';
import { log } from './benches/log/log.js';
import { native, nativeLeftOut } from './benches/native/native.js';
import { percore } from './benches/percore/percore.js';
import { replay } from './benches/replay/replay.js';
import { turns } from './benches/turns/turns.js';
import { verify } from './benches/verify/verify.js';
import type { Case } from './case.js';
import { type About, aboutPath, describe } from './machine/about.js';
import { Scratch } from './machine/scratch.js';
import { ringLoopMissing, ringMissing } from './ring/missing.js';
import { ringAppend } from './ring/ring-append.js';
import { measureCase } from './rounds.js';
import type { Row } from './rows/rows.js';
import { tables } from './rows/table.js';
import { serverMissing } from './servers/cluster.js';
import { FULL, MEBIBYTE, QUICK, type Settings } from './settings.js';
import { fileSystem } from './subjects/file-system.js';
import { installPeers, peerSubjects } from './subjects/peers.js';
import type { Subject } from './subjects/subject.js';
import { walstackSubjects } from './subjects/walstack.js';
import { fio } from './yardsticks/fio.js';
import { nativeLoop } from './yardsticks/native-loop.js';
import { nativeScanMissing } from './yardsticks/native-scan.js';
import { RING_LOOP } from './yardsticks/ring-commits.js';

const CASES: Record<Bench, (settings: Settings) => Case[]> = {
  append,
  durable,
  replay,
  cold,
  log,
  percore,
  crowds,
  native,
  turns,
  verify,
  jetstream,
};

/** Benches that measure the subjects; the others only measure parts of walstack. */
const OF_SUBJECTS: readonly Bench[] = ['append', 'durable', 'replay', 'log'];

/** Everything that is measured here. */
async function takingPart(given: Arguments): Promise<Pick<Settings, 'subjects' | 'nativeLoop' | 'fio'>> {
  const own = await walstackSubjects();
  const wanted = given.peers && given.benches.some((bench) => OF_SUBJECTS.includes(bench));
  if (wanted) installPeers(console.log);
  const peers = wanted ? peerSubjects() : { subjects: [], leftOut: [] };
  const [loop, fioLoop] = [nativeLoop(), fio()];
  const sentences = [
    ...own.leftOut,
    ...peers.leftOut,
    ...nativeLeftOut,
    loop,
    fioLoop,
    nativeScanMissing,
    serverMissing,
  ];
  for (const sentence of sentences) if (typeof sentence === 'string') console.log(sentence);
  return {
    subjects: [...own.subjects, fileSystem, ...peers.subjects],
    nativeLoop: typeof loop === 'string' ? undefined : loop,
    fio: typeof fioLoop === 'string' ? undefined : fioLoop,
  };
}

async function measureAll(given: Arguments): Promise<{ rows: Row[]; about: About }> {
  const { benches, quick, data, mebibytes } = given;
  const amounts = quick ? QUICK : FULL;
  const rounds = given.rounds ?? amounts.rounds;
  using scratch = new Scratch(data);
  const sizes = mebibytes === undefined ? {} : { turnBytes: mebibytes * MEBIBYTE, verifyBytes: mebibytes * MEBIBYTE };
  const settings = { ...amounts, ...sizes, rounds, ...(await takingPart(given)), scratch };
  const about = describe(scratch.path, quick, allSubjects(settings));
  const missing = ringLoopMissing(scratch.path);
  if (missing !== undefined) console.log(missing);
  console.log(`${about.machine}\n`);
  const rows: Row[] = [];
  for (const bench of benches) {
    for (const one of CASES[bench](settings)) {
      const results = await measureCase(one, settings.rounds);
      console.log(`${tables(results)}\n`);
      rows.push(...results);
    }
    scratch.clear();
  }
  return { rows, about };
}

const allSubjects = ({ subjects, nativeLoop, fio, scratch }: Settings): Pick<Subject, 'name' | 'how'>[] => {
  const ringLoop = ringLoopMissing(scratch.path) === undefined ? RING_LOOP : undefined;
  const appending = ringMissing() === undefined ? ringAppend : undefined;
  return [...subjects, ringLoop, appending, nativeLoop, fio].filter((each) => each !== undefined);
};

async function main(): Promise<void> {
  // A path is meant from where the user stands, also when a package manager has changed the directory.
  const given = readArguments(process.argv.slice(2), process.env['INIT_CWD'] ?? '.');
  if (given === undefined) {
    console.log(HELP);
    return;
  }
  const { rows, about } = await measureAll(given);
  if (given.json === undefined) return;
  writeFileSync(given.json, `${JSON.stringify(rows, undefined, 2)}\n`);
  writeFileSync(aboutPath(given.json), `${JSON.stringify(about, undefined, 2)}\n`);
}

try {
  await main();
} catch (error) {
  if (error instanceof UsageError) console.error(`${error.message}\n\n${HELP}`);
  else console.error(error);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
