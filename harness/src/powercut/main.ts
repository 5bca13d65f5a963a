import process from 'node:process';
import { runCommand } from '../command-line.js';
import { HELP, readArguments } from './arguments.js';
import { Laboratory } from './laboratory.js';

await runCommand(HELP, async () => {
  // A path is meant from where the user stands, also when a package manager has changed the directory.
  const given = readArguments(process.argv.slice(2), process.env['INIT_CWD'] ?? '.');
  if (given === undefined) {
    console.log(HELP);
    return 0;
  }
  const laboratory = new Laboratory(given, console.log);
  process.once('SIGINT', () => laboratory.stop()).once('SIGTERM', () => laboratory.stop());
  return (await laboratory.run()) ? 0 : 1;
});
