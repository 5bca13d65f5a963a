import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

type Command = 'torture' | 'fuzz' | 'powercut';

/** Runs a command of this package as it was built. */
export function run(command: Command, ...args: readonly string[]) {
  return runIn({}, command, ...args);
}

/** The same with these variables in its environment. */
export function runIn(variables: Readonly<Record<string, string>>, command: Command, ...args: readonly string[]) {
  const program = fileURLToPath(new URL(`../dist/${command}.js`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...variables },
  });
  return { status, stdout, stderr, last: stdout.trimEnd().split('\n').at(-1) ?? '' };
}
