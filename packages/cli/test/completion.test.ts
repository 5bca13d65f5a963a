import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { cli } from './support/cli.js';

/** Whether a shell can be run here; its test is skipped where it cannot. */
const has = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

/** Runs a script in a shell. @returns what it prints */
function printed(shell: string, options: readonly string[], script: string): string {
  const { status, stdout, stderr } = spawnSync(shell, [...options, '-c', script], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

const scriptOf = async (shell: string): Promise<string> => (await cli(['completion', shell])).out;

/** What completing the last word of a line offers in bash. */
async function inBash(...words: string[]): Promise<string[]> {
  const line = ['walstack', ...words].map((word) => `'${word}'`).join(' ');
  // `compopt` is for the shell's own completion only.
  const script = `${await scriptOf('bash')}
compopt() { printf 'compopt %s\\n' "$*"; }
COMP_WORDS=(${line})
COMP_CWORD=${words.length}
_walstack
printf '%s\\n' "\${COMPREPLY[@]}"`;
  return printed('bash', [], script)
    .split('\n')
    .filter((each) => each !== '');
}

test.skipIf(!has('bash'))('bash completes commands, options, and the words that they take', async () => {
  expect(await inBash('re')).toEqual(['repair', 'restore']);
  expect(await inBash('')).toEqual(expect.arrayContaining(['inspect', 'append', 'bench', 'completion']));
  expect(await inBash('hold', '')).toEqual(['list', 'set', 'release']);
  expect(await inBash('hold', 'set', '--')).toEqual(expect.arrayContaining(['--json', '--key-file', '--help']));
  expect(await inBash('cat', 'log', '--f')).toEqual(['--format', '--from']);
  expect(await inBash('cat', '--format', '')).toEqual(['line', 'json', 'utf8', 'hex']);
  expect(await inBash('repair', 'log', '--mode', 's')).toEqual(['strict', 'salvage', 'skip-corrupt']);
  expect(await inBash('completion', '')).toEqual(['bash', 'zsh', 'fish']);
  // Names of files are completed by the shell itself.
  expect(await inBash('cat', '')).toEqual([]);
  expect(await inBash('cat', '--key-file', '')).toEqual([]);
  expect(await inBash('cat', '--from', '')).toEqual(['compopt +o default']);
});

test.skipIf(!has('zsh'))('zsh completes them', async () => {
  const inZsh = async (...words: string[]): Promise<string> => {
    const line = ['walstack', ...words].map((word) => `'${word}'`).join(' ');
    // Outside the completion of the shell, its functions are replaced by ones that print.
    const script = `compdef() { :; }
_describe() { print -l -- $known; }
_files() { print files; }
${await scriptOf('zsh')}
words=(${line})
CURRENT=${words.length + 1}
_walstack`;
    return printed('zsh', ['-f'], script);
  };
  expect(await inZsh('')).toMatch(/^inspect:.*\n(.*\n)*repair:/);
  expect(await inZsh('hold', '')).toMatch(/^list:.*\nset:.*\nrelease:/);
  expect(await inZsh('cat', '--format', '')).toBe('line\njson\nutf8\nhex\n');
  expect(await inZsh('cat', '-')).toContain('--from:the first LSN');
  expect(await inZsh('cat', '')).toBe('files\n');
});

test.skipIf(!has('fish'))('fish completes them', async () => {
  const script = await scriptOf('fish');
  const inFish = (line: string): string[] =>
    printed('fish', ['--no-config'], `${script}\ncomplete -C '${line}'`)
      .split('\n')
      .map((each) => each.split('\t')[0] as string);
  expect(inFish('walstack re')).toEqual(expect.arrayContaining(['repair', 'restore']));
  expect(inFish('walstack hold ')).toEqual(expect.arrayContaining(['list', 'set', 'release']));
  expect(inFish('walstack cat --format ')).toEqual(expect.arrayContaining(['line', 'json', 'utf8', 'hex']));
  expect(inFish('walstack repair log --mode s')).toContain('skip-corrupt');
});

test('every command has a help with options, and those that are not completed are refused', async () => {
  const program = await cli(['--help']);
  const commands = [...program.out.matchAll(/^ {2}([a-z]+) .*<?\[?/gm)].map(([, name]) => name as string);
  expect(commands).toEqual(expect.arrayContaining(['repair', 'backup', 'hold', 'stats', 'completion']));
  for (const command of commands.filter((name) => name !== 'help')) {
    const help = await cli([command, '--help']);
    expect([command, help.code, help.out.includes('Examples:')]).toEqual([command, 0, true]);
    expect(help.out).toContain('Exit codes:');
  }
  expect((await cli(['completion', 'powershell'])).code).toBe(2);
});
