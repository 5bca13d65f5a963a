// Imported first by the commands, for what it does: a Node that is too old ends here with a sentence, not later with a
// stack trace. The modules imported beside it must therefore parse and link on old versions too.
import { readFileSync } from 'node:fs';
import { isInRange } from './node-version.mjs';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
const range = manifest.engines.node;

if (!isInRange(process.versions.node, range)) {
  process.stderr.write(`walstack needs Node ${range}; this is Node ${process.versions.node} (${process.execPath}).\n`);
  process.exit(1);
}
