import { spawn } from 'node:child_process';
import process from 'node:process';

/**
 * @typedef {object} Ending
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal what ended the command, where it was a signal
 * @property {NodeJS.Signals | undefined} interruption what this process was sent meanwhile
 * @property {string} output both streams, in the order they came; empty where they were shared
 *
 * @typedef {object} RunOptions
 * @property {string} cwd
 * @property {NodeJS.ProcessEnv} [env]
 * @property {boolean} [sharesOutput] prints as it goes, instead of being collected
 * @property {boolean} [sharesInput]
 */

/** @type {NodeJS.Signals[]} */
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP'];

// A terminal sends Ctrl-C to every process in its foreground, the command included: sending it on would make it two.
const isInTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY;

/**
 * Hands signals on to a command, so that this process never dies before it.
 *
 * @param {import('node:child_process').ChildProcess} child
 */
const passSignalsTo = (child) => {
  /** @type {NodeJS.Signals | undefined} */
  let interruption;
  /** @param {NodeJS.Signals} signal */
  const pass = (signal) => {
    interruption = signal;
    if (signal !== 'SIGINT' || !isInTerminal) {
      child.kill(signal);
    }
  };
  for (const signal of passedOn) {
    process.on(signal, pass);
  }
  return () => {
    for (const signal of passedOn) {
      process.off(signal, pass);
    }
    return interruption;
  };
};

/**
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} options
 * @returns {Promise<Ending>}
 */
const runToItsEnd = (command, args, { cwd, env = process.env, sharesOutput = false, sharesInput = false }) =>
  new Promise((resolve) => {
    const output = sharesOutput ? 'inherit' : 'pipe';
    const child = spawn(command, args, {
      cwd,
      env,
      stdio: [sharesInput ? 'inherit' : 'ignore', output, output],
      // npx, pnpm and what lies in .bin are .cmd files on Windows, which only a shell starts.
      shell: process.platform === 'win32' && command !== process.execPath,
    });
    const stopPassing = passSignalsTo(child);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (part) => {
        text += part;
      });
    }
    child.on('error', (error) => {
      resolve({ code: 1, signal: null, interruption: stopPassing(), output: `${command}: ${error.message}\n` });
    });
    child.on('close', (code, signal) => {
      resolve({ code, signal, interruption: stopPassing(), output: text });
    });
  });

/** @param {NodeJS.Signals} signal @returns {Promise<never>} */
const dieBy = (signal) => {
  process.kill(process.pid, signal);
  return new Promise(() => {});
};

/**
 * Runs a command and says how it ended. Where this process is interrupted meanwhile, it ends with the command.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} options
 */
export const run = async (command, args, options) => {
  const ending = await runToItsEnd(command, args, options);
  if (ending.interruption !== undefined) {
    await dieBy(ending.interruption);
  }
  return { ok: ending.code === 0, output: ending.output };
};

/**
 * Runs a command in this process's place: with its streams, and to the same exit code or signal.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {RunOptions} options
 */
export const handOverTo = async (command, args, options) => {
  const ending = await runToItsEnd(command, args, { ...options, sharesInput: true, sharesOutput: true });
  if (ending.signal !== null) {
    await dieBy(ending.signal);
  }
  process.stderr.write(ending.output);
  process.exitCode = ending.code ?? 1;
};
