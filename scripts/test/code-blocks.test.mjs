import { existsSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allCodeBlocks } from '../lib/code-blocks.mjs';
import { folderWithPackages, runProgram } from '../lib/run-program.mjs';
import { commandsIn, ShellCommands } from '../lib/shell-commands.mjs';
import { publishedMembers, repositoryRoot, workspaceMembers } from '../lib/workspace.mjs';

/** @typedef {import('../lib/code-blocks.mjs').CodeBlock} CodeBlock */

const native = await import(pathToFileURL(join(repositoryRoot, 'packages/native/dist/index.js')).href);
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

/** What a program may need that a machine may not have. @type {Record<string, boolean>} */
const has = {
  'the addon': native.available,
  io_uring: native.ringSupport().available,
  'Node.js 22.13': major > 22 || (major === 22 && minor >= 13),
};

const blocks = allCodeBlocks(repositoryRoot);
/** @param {string[]} languages */
const blocksIn = (...languages) => blocks.filter(({ language }) => languages.includes(language));
/** @param {string} mark */
const marked = (mark) => (/** @type {CodeBlock} */ block) => block.mark.startsWith(`${mark} `);

const code = blocksIn('js', 'ts').map((block) => ({ ...block, name: `${block.page}:${block.line}` }));
const programs = code.filter((block) => block.mark !== 'fragment' && !marked('run by')(block));

/** The files that a program finds beside it: those that its page has shown before. @param {CodeBlock} program */
const filesOf = (program) => {
  const shown = code.filter(({ page, line, mark }) => page === program.page && line < program.line && mark !== '');
  const files = shown.filter(marked('file')).map((block) => [block.mark.slice('file '.length), block.code]);
  return { ...Object.fromEntries(files), 'program.mjs': program.code };
};

/** @param {CodeBlock} program */
const missingFor = ({ mark }) => {
  const needed = mark.startsWith('needs ') ? mark.slice('needs '.length) : undefined;
  return needed !== undefined && has[needed] !== true ? needed : undefined;
};

/** @type {string} */
let folder;
beforeAll(() => {
  const members = workspaceMembers(repositoryRoot).map((member) => join(repositoryRoot, member.folder, 'node_modules'));
  folder = folderWithPackages(tmpdir(), publishedMembers(repositoryRoot), members.filter(existsSync));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @param {CodeBlock} program @param {NodeJS.ProcessEnv} env @param {AbortSignal} signal */
const holds = async (program, env, signal) => {
  const { exitCode, output, errors } = await runProgram(folder, filesOf(program), env, signal);
  expect({ exitCode, errors: exitCode === 0 ? '' : errors }).toEqual({ exitCode: 0, errors: '' });
  if (program.output !== undefined) expect(output).toBe(program.output);
  // Its failed tests do not end a thread with another code.
  if (program.code.includes("'node:test'")) expect(output).toMatch(/^(?:#|ℹ) fail 0$/m);
};

describe('the programs in pages', () => {
  test('there are some, with what they print', () => {
    expect(programs.filter(({ output }) => output !== undefined).length).toBeGreaterThan(10);
  });

  for (const program of programs) {
    test.skipIf(missingFor(program) !== undefined)(`${program.name} runs`, ({ signal }) => holds(program, {}, signal));
  }

  const withoutAddon = programs.filter(({ mark }) => !['needs the addon', 'needs io_uring'].includes(mark));
  describe.runIf(native.available)('without the addon', () => {
    for (const program of withoutAddon) {
      test.skipIf(missingFor(program) !== undefined)(`${program.name} runs`, ({ signal }) =>
        holds(program, { WALSTACK_NATIVE: '0' }, signal),
      );
    }
  });
});

describe('the other code in pages', () => {
  test.each(code.filter(marked('run by')).map(({ name, page, mark }) => ({ name, page, file: mark.slice(7) })))(
    '$name is run by $file',
    ({ page, file }) => {
      expect(readFileSync(join(repositoryRoot, file), 'utf8')).toContain(basename(page));
    },
  );

  test.each(code.filter(({ mark }) => mark === 'fragment'))('$name, a fragment, can be parsed', (fragment) => {
    const { diagnostics = [] } = ts.transpileModule(fragment.code, {
      reportDiagnostics: true,
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext },
    });
    expect(diagnostics.map(({ messageText }) => messageText)).toEqual([]);
  });

  test('has no other mark', () => {
    const known = /^(?:|fragment|(?:run by|file) \S+|needs (?:the addon|io_uring|Node\.js 22\.13))$/;
    expect(code.filter(({ mark }) => !known.test(mark)).map(({ name, mark }) => `${name} ${mark}`)).toEqual([]);
  });

  test.each(blocksIn('json'))('$page:$line is JSON', ({ code: text }) => {
    expect(() => JSON.parse(text)).not.toThrow();
  });

  test('commands exist, with their options', () => {
    const commands = new ShellCommands(repositoryRoot);
    const shown = blocks.filter(
      ({ language, code: text }) => language === 'sh' || (language === '' && /^\$ /m.test(text)),
    );
    const problems = shown.flatMap(({ page, line, code: text }) =>
      commandsIn(text).flatMap((command) => {
        const problem = commands.problemOf(command);
        return problem === undefined ? [] : [`${page}:${line} ${command}: ${problem}`];
      }),
    );
    expect(problems).toEqual([]);
  });

  test('is in a language that is looked at', () => {
    const languages = new Set(blocks.map(({ language }) => language));
    expect([...languages].filter((each) => !['js', 'ts', 'sh', 'json', 'text', ''].includes(each))).toEqual([]);
  });
});
