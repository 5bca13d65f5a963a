import { runCommand } from '../command-line.js';
import { HELP, readArguments } from './arguments.js';
import { Torture } from './torture.js';

const ENTRIES = {
  child: new URL('./torture-child.js', import.meta.url),
  worker: new URL('./torture-worker.js', import.meta.url),
};

await runCommand(HELP, async () => {
  // A path is meant from where the user stands, also when a package manager has changed the directory.
  const given = readArguments(process.argv.slice(2), process.env['INIT_CWD'] ?? '.');
  if (given === undefined) {
    console.log(HELP);
    return 0;
  }
  const torture = new Torture(given, ENTRIES, console.log);
  process.once('SIGINT', () => torture.stop()).once('SIGTERM', () => torture.stop());
  return (await torture.run()) ? 0 : 1;
});
