import { existsSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { publishedMembers } from './workspace.mjs';

/**
 * @typedef {import('./workspace.mjs').Member} Member
 *
 * @typedef {object} EntryPoint
 * @property {string} specifier by which it is imported
 * @property {string} file the source that it is built from
 *
 * @typedef {object} PublicName
 * @property {string} name
 * @property {string} kind
 * @property {string} sentence the first of its doc comment; empty where it has none
 */

/**
 * The entry points of a package: each is built from the file or folder in `src` that has its name.
 *
 * @param {Member} member
 * @param {string} root
 * @returns {EntryPoint[]}
 */
const entryPointsOf = ({ folder, manifest }, root) =>
  Object.keys(typeof manifest.exports === 'object' ? manifest.exports : {})
    .filter((entry) => entry !== './package.json')
    .map((entry) => {
      const name = entry === '.' ? 'index' : entry.slice('./'.length);
      const candidates = [`${folder}/src/${name}.ts`, `${folder}/src/${name}/index.ts`];
      const file = candidates.map((path) => join(root, path)).find((path) => existsSync(path));
      if (file === undefined)
        throw new Error(`${manifest.name} has no source for ${entry}: ${candidates.join(' or ')}`);
      return { specifier: `${manifest.name}${entry.slice(1)}`, file };
    });

/**
 * All entry points in one program, read from the sources: nothing needs to be built.
 *
 * @param {string} root
 * @param {EntryPoint[]} entryPoints
 */
const programOf = (root, entryPoints) => {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.base.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const paths = Object.fromEntries(entryPoints.map(({ specifier, file }) => [specifier, [file]]));
  return ts.createProgram(
    entryPoints.map(({ file }) => file),
    { ...options, types: [], paths },
  );
};

/** @param {ts.SymbolFlags} flags */
const kindOf = (flags) => {
  if (flags & ts.SymbolFlags.Class) return 'class';
  if (flags & ts.SymbolFlags.Function) return 'function';
  if (flags & ts.SymbolFlags.Variable) return 'constant';
  if (flags & ts.SymbolFlags.Interface) return 'interface';
  return flags & ts.SymbolFlags.ValueModule ? 'namespace' : 'type';
};

/** The first sentence of a doc comment, as Markdown. @param {string} comment */
const firstSentence = (comment) => {
  const [paragraph = ''] = comment.trim().split(/\n\s*\n/);
  const text = paragraph
    .replace(/\{@link\s+([^\s}|]+)\s*\}/g, '`$1`')
    .replace(/\{@link\s+\S+[\s|]+([^}]+)\}/g, '$1')
    .replace(/\s+/g, ' ');
  const end = /\.(?= [\p{Lu}`]|$)/u.exec(text);
  return (end === null ? text : text.slice(0, end.index)).replace(/:$/, '').replaceAll('|', '\\|');
};

/** @param {ts.Symbol} symbol @param {ts.TypeChecker} checker */
const commentOf = (symbol, checker) => ts.displayPartsToString(symbol.getDocumentationComment(checker));

/** The doc comment of `export * as name from`, which is no declaration. @param {ts.Symbol} symbol */
const commentOfExport = (symbol) =>
  (symbol.declarations ?? [])
    .flatMap((declaration) => ts.getJSDocCommentsAndTags(declaration.parent))
    .map((comment) => ts.getTextOfJSDocComment(comment.comment) ?? '')
    .join('\n');

/**
 * @param {ts.Symbol} module
 * @param {ts.TypeChecker} checker
 * @returns {PublicName[]}
 */
const namesIn = (module, checker) =>
  checker
    .getExportsOfModule(module)
    .flatMap((exported) => {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const name = { name: exported.name, kind: kindOf(symbol.flags) };
      const sentence = firstSentence(commentOf(symbol, checker) || commentOfExport(exported));
      const members = name.kind === 'namespace' ? namesIn(symbol, checker) : [];
      return [{ ...name, sentence }, ...members.map((member) => ({ ...member, name: `${name.name}.${member.name}` }))];
    })
    .sort((a, b) => (a.name.toLowerCase() < b.name.toLowerCase() ? -1 : 1));

/**
 * What an entry point exports, and the namespaces in it.
 *
 * @param {ts.Symbol} module
 * @param {ts.TypeChecker} checker
 * @returns {ts.Symbol[]}
 */
const symbolsIn = (module, checker) =>
  checker.getExportsOfModule(module).flatMap((exported) => {
    const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
    return kindOf(symbol.flags) === 'namespace' ? symbolsIn(symbol, checker) : [symbol];
  });

/** The constructors of a class that its users may call. @param {ts.Symbol} symbol */
const constructorsOf = (symbol) =>
  (symbol.declarations ?? [])
    .filter((declaration) => ts.isClassDeclaration(declaration))
    .flatMap(({ members }) => [...members].filter((member) => ts.isConstructorDeclaration(member)))
    .filter((made) => (ts.getCombinedModifierFlags(made) & ts.ModifierFlags.Private) === 0);

/** Every node below a node. @param {ts.Node} node @returns {ts.Node[]} */
const nodesIn = (node) => {
  /** @type {ts.Node[]} */
  const nodes = [];
  ts.forEachChild(node, (child) => {
    nodes.push(child, ...nodesIn(child));
  });
  return nodes;
};

/**
 * The types of the repository that public constructors take and that are not public: such a constructor is not for users.
 *
 * @param {ts.Symbol[]} symbols everything public
 * @param {ts.TypeChecker} checker
 * @param {string} root
 */
const hiddenParameters = (symbols, checker, root) => {
  const known = new Set(symbols);
  /** @param {ts.Node} node */
  const referred = (node) => {
    const symbol = ts.isTypeReferenceNode(node) ? checker.getSymbolAtLocation(node.typeName) : undefined;
    return symbol && symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  };
  /** @param {ts.Symbol} symbol */
  const isHidden = (symbol) =>
    !known.has(symbol) &&
    !(symbol.flags & ts.SymbolFlags.TypeParameter) &&
    (symbol.declarations ?? []).some((declaration) =>
      declaration.getSourceFile().fileName.startsWith(join(root, 'packages')),
    );
  return [...known].flatMap((symbol) =>
    constructorsOf(symbol)
      .flatMap(({ parameters }) => parameters.flatMap((parameter) => nodesIn(parameter)))
      .flatMap((node) => referred(node) ?? [])
      .filter(isHidden)
      .map(({ name }) => `${symbol.name}: ${name}`),
  );
};

/** @param {EntryPoint} entryPoint @param {PublicName[]} names */
const sectionOf = ({ specifier }, names) => [
  `## ${specifier}`,
  '',
  '| name | | what it is |',
  '| --- | --- | --- |',
  ...names.map(({ name, kind, sentence }) => `| \`${name}\` | ${kind} | ${sentence} |`),
  '',
];

/**
 * The page of all public names, the names that have no doc comment, and the types that public constructors take though they
 * are not public.
 *
 * @param {string} root
 */
export const apiOf = (root) => {
  const members = publishedMembers(root);
  const entryPoints = members.flatMap((member) => entryPointsOf(member, root));
  const program = programOf(root, entryPoints);
  const checker = program.getTypeChecker();
  const promised = entryPoints.filter(({ specifier }) => !specifier.endsWith('/internal'));
  /** @type {string[]} */
  const undocumented = [];
  /** @type {ts.Symbol[]} */
  const symbols = [];
  const sections = promised.flatMap((entryPoint) => {
    const source = program.getSourceFile(entryPoint.file);
    const module = source && checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${entryPoint.specifier} exports nothing`);
    const names = namesIn(module, checker);
    symbols.push(...symbolsIn(module, checker));
    undocumented.push(
      ...names.filter(({ sentence }) => sentence === '').map(({ name }) => `${entryPoint.specifier} ${name}`),
    );
    return sectionOf(entryPoint, names);
  });
  const page = [
    '# All public names',
    '',
    'Made from the doc comments by `node scripts/make-api-page.mjs`; a test checks that it is current. The READMEs of the',
    'packages describe the same at length. The entry points `internal` are for the packages of this repository and have no rows.',
    '',
    ...sections,
  ].join('\n');
  return { page, undocumented, hidden: hiddenParameters(symbols, checker, root) };
};
