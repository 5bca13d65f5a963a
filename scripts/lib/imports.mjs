import ts from 'typescript';

/** @typedef {{ specifier: string, line: number }} Import */

/**
 * The expression that names a module in a node, whatever the form: `import … from`, `export … from`, `import()`,
 * `require()`, `import x = require()`, `import('…').Type`.
 *
 * @param {ts.Node} node
 */
const moduleNameIn = (node) => {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier;
  }
  if (ts.isExternalModuleReference(node)) {
    return node.expression;
  }
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  }
  if (ts.isCallExpression(node)) {
    const isImport = node.expression.kind === ts.SyntaxKind.ImportKeyword;
    const isRequire = ts.isIdentifier(node.expression) && node.expression.text === 'require';
    return isImport || isRequire ? node.arguments[0] : undefined;
  }
  return undefined;
};

/**
 * Every module that a file imports by a literal name, types included. Names worked out at run time are not seen.
 *
 * @param {string} file its name, for the language
 * @param {string} text
 */
export const importsOf = (file, text) => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  /** @type {Import[]} */
  const imports = [];
  /** @param {ts.Node} node */
  const visit = (node) => {
    const name = moduleNameIn(node);
    if (name !== undefined && ts.isStringLiteralLike(name)) {
      const { line } = source.getLineAndCharacterOfPosition(name.getStart(source));
      imports.push({ specifier: name.text, line: line + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return imports;
};
