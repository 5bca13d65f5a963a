import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { readManifest, workspaceMembers } from './workspace.mjs';

/** Programs of the machine that pages use; what their options mean is not checked. */
const ofMachine = new Set(
  'apt-get cat cd chmod cmp cp curl dd dpkg echo head jq kill ls mkdir mv openssl printf promtool rm rsync sed sync tail'.split(
    ' ',
  ),
);

/** What pnpm and npm do without a script. */
const builtIn = new Set(['install', 'init', 'exec']);

/**
 * The commands of a block: of its lines, or of those that begin with `$ ` where it shows output, too.
 *
 * @param {string} code
 */
export const commandsIn = (code) => {
  const lines = code.replaceAll('\\\n', ' ').split('\n');
  const session = lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
  return (session.length > 0 ? session : lines)
    .flatMap((line) => line.replace(/(?:^|\s)#\s.*$/, '').split(/ (?:&&|\||;) /))
    .map((command) => command.trim())
    .filter((command) => command !== '');
};

/** @param {string} command */
const wordsOf = (command) =>
  (command.match(/'[^']*'|"[^"]*"|[^\s'"]+(?:=(?:'[^']*'|"[^"]*"))?/g) ?? []).filter((word) => !/^[<>]/.test(word));

/**
 * Looks whether the commands of pages exist: scripts, programs, packages, and the options that they take.
 */
export class ShellCommands {
  /** @type {Map<string, string>} */
  #helps = new Map();
  #root;
  #scripts;
  #members;

  /** @param {string} root */
  constructor(root) {
    this.#root = root;
    this.#scripts = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).scripts;
    this.#members = workspaceMembers(root);
  }

  /** What is wrong with a command, if anything. @param {string} command @returns {string | undefined} */
  problemOf(command) {
    const [program = '', ...args] = wordsOf(command);
    if (/^[A-Z_]+=/.test(program)) return this.problemOf(command.slice(command.indexOf(' ') + 1));
    switch (program) {
      case 'npx':
        return this.#problemOfNpx(args);
      case 'npm':
      case 'pnpm':
        return this.#problemOfScript(args);
      case 'node':
        return this.#problemOfNode(args);
      case 'walstack':
        return this.#problemOfWalstack(args);
      case 'walstack-jetstream':
        return this.#problemOfWalstack(args, 'packages/jetstream/dist/main.js');
      default:
        return ofMachine.has(program) ? undefined : `there is no ${program}`;
    }
  }

  /** @param {string[]} args */
  #problemOfNpx([what = '', ...args]) {
    if (what === '@walstack/cli' || what === 'walstack') return this.#problemOfWalstack(args);
    const { packageManager } = readManifest(this.#root);
    return what === packageManager ? this.#problemOfScript(args) : `npx ${what} is not ${packageManager}`;
  }

  /** @param {string[]} args */
  #problemOfScript(args) {
    const words = args[0] === 'run' ? args.slice(1).filter((word) => word !== '--silent') : args;
    const [name = '', ...rest] = words;
    if (name === 'install' || name === 'add')
      return this.#problemOfPackages(rest.filter((word) => !word.startsWith('-')));
    if (builtIn.has(name)) return undefined;
    const script = this.#scripts[name];
    if (script === undefined) return `there is no script ${name}`;
    const [, program] = /node (\S+\.m?js)[^&]*$/.exec(script) ?? [];
    return program === undefined ? undefined : this.#problemOfOptions(program, rest);
  }

  /** @param {string[]} names */
  #problemOfPackages(names) {
    const published = new Set(this.#members.map(({ manifest }) => manifest.name));
    const wrong = names.find((name) => name.startsWith('@walstack/') && !published.has(name));
    return wrong === undefined ? undefined : `there is no package ${wrong}`;
  }

  /** @param {string[]} args */
  #problemOfNode([program = '', ...args]) {
    // A program that the page has shown before.
    if (/^[\w-]+\.m?js$/.test(program)) return undefined;
    return existsSync(join(this.#root, program)) ? this.#problemOfOptions(program, args) : `there is no ${program}`;
  }

  /** @param {string[]} args @param {string} [program] */
  #problemOfWalstack([command = '', ...args], program = 'packages/cli/dist/main.js') {
    if (command.startsWith('-')) return this.#problemOfOptions(program, [command, ...args]);
    const known = new RegExp(`^ {2}${command} `, 'm').test(this.#helpOf(program, []));
    return known ? this.#problemOfOptions(program, args, [command]) : `there is no walstack ${command}`;
  }

  /** @param {string} program @param {string[]} args @param {string[]} [before] */
  #problemOfOptions(program, args, before = []) {
    const words = args.filter((word) => /^--?[a-zA-Z]/.test(word)).map((word) => word.replace(/=.*$/, ''));
    const options = words.filter((word) => word !== '--help');
    if (options.length === 0) return undefined;
    const help = this.#helpOf(program, before);
    const wrong = options.find((option) => !new RegExp(`(?<![\\w-])${option}(?![\\w-])`).test(help));
    return wrong === undefined ? undefined : `${[program, ...before].join(' ')} has no ${wrong}`;
  }

  /** What a program says of its options: scripts in their sources. @param {string} program @param {string[]} before @returns {string} */
  #helpOf(program, before) {
    const source = program.startsWith('scripts/') ? readFileSync(join(this.#root, program), 'utf8') : '';
    const [, passedOnTo] = /'(\S+\/dist\/main\.js)', \.\.\.process\.argv/.exec(source) ?? [];
    if (passedOnTo !== undefined) return this.#helpOf(passedOnTo, before);
    const key = [program, ...before].join(' ');
    const known = this.#helps.get(key);
    if (known !== undefined) return known;
    const text =
      source === ''
        ? execFileSync(process.execPath, [join(this.#root, program), ...before, '--help'], { encoding: 'utf8' })
        : source.replaceAll(/'([\w-]+)':|(?<=\{ |, )([\w-]+): \{ type/g, '--$1$2 ');
    this.#helps.set(key, text);
    return text;
  }
}
