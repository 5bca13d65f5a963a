import { performance } from 'node:perf_hooks';
import process from 'node:process';

/**
 * @typedef {object} Outcome
 * @property {boolean} ok
 * @property {string} [output] shown in full where the step failed
 * @property {string} [note] said beside the seconds
 */

/** @param {string} text */
const endLine = (text) => (text === '' || text.endsWith('\n') ? text : `${text}\n`);

/**
 * Does one step and prints one line for it: its name, how it went, its seconds.
 *
 * @param {string} name
 * @param {() => Promise<Outcome>} work
 */
export const step = async (name, work) => {
  process.stdout.write(`${name.padEnd(20)} `);
  const start = performance.now();
  const { ok, output = '', note } = await work();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  process.stdout.write(`${ok ? 'ok' : 'FAILED'}  ${seconds} s${note === undefined ? '' : `  ${note}`}\n`);
  if (!ok) {
    process.stdout.write(endLine(output));
  }
  return ok;
};
