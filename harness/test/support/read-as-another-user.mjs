import process from 'node:process';
import { readByEveryReader } from './every-reader.mjs';

// All modules are loaded: the user need not be able to read them.
const ANOTHER_USER = 65_534;
process.setgroups([ANOTHER_USER]);
process.setegid(ANOTHER_USER);
process.seteuid(ANOTHER_USER);
process.stdout.write(JSON.stringify(await readByEveryReader(JSON.parse(process.argv[2]))));
