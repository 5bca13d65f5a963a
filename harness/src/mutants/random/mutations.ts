import ts from 'typescript';

/** One small change of a source, of the kind that people make by mistake. */
export interface Mutation {
  /** Where the text begins that is replaced, in characters. */
  readonly start: number;
  readonly end: number;
  readonly replace: string;
}

/** What an operator becomes: its bound off by one, its sense turned round. */
const OPERATORS: ReadonlyMap<ts.SyntaxKind, readonly string[]> = new Map([
  [ts.SyntaxKind.LessThanToken, ['<=', '>=']],
  [ts.SyntaxKind.LessThanEqualsToken, ['<', '>']],
  [ts.SyntaxKind.GreaterThanToken, ['>=', '<=']],
  [ts.SyntaxKind.GreaterThanEqualsToken, ['>', '<']],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, ['!==']],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, ['===']],
  [ts.SyntaxKind.AmpersandAmpersandToken, ['||']],
  [ts.SyntaxKind.BarBarToken, ['&&']],
  [ts.SyntaxKind.PlusToken, ['-']],
  [ts.SyntaxKind.MinusToken, ['+']],
]);

const SWAPPED: Readonly<Record<string, string>> = { 'Math.max': 'Math.min', 'Math.min': 'Math.max' };

/** All changes of a TypeScript source, in the order of their places. Types, imports and the texts of errors stay. */
export function mutationsOf(text: string): readonly Mutation[] {
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true);
  const found: Mutation[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    found.push(...changesOf(node, source));
    // What an error says is not what the log does.
    if (!ts.isThrowStatement(node)) node.forEachChild(visit);
  };
  visit(source);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

function changesOf(node: ts.Node, source: ts.SourceFile): readonly Mutation[] {
  const replaced = (by: string, place: ts.Node = node): Mutation => ({
    start: place.getStart(source),
    end: place.getEnd(),
    replace: by,
  });
  if (ts.isThrowStatement(node)) return [replaced(';')];
  if (ts.isExpressionStatement(node))
    return [...(isSuperCall(node) ? [] : [replaced(';')]), ...exchanged(node, source)];
  if (ts.isIfStatement(node)) return [replaced('true', node.expression), replaced('false', node.expression)];
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    return [replaced(node.operand.getText(source))];
  }
  if (ts.isBinaryExpression(node) && !joinsText(node)) {
    const changed = OPERATORS.get(node.operatorToken.kind) ?? [];
    return changed.map((operator) => replaced(operator, node.operatorToken));
  }
  if (ts.isPropertyAccessExpression(node)) {
    const other = SWAPPED[node.getText(source)];
    return other === undefined ? [] : [replaced(other)];
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [replaced('false')];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [replaced('true')];
  return [];
}

/** A step in the place of the next one, and the next one in its place. */
function exchanged(node: ts.ExpressionStatement, source: ts.SourceFile): readonly Mutation[] {
  const { parent } = node;
  if (!ts.isBlock(parent)) return [];
  const next = parent.statements[parent.statements.indexOf(node) + 1];
  if (next === undefined || !ts.isExpressionStatement(next) || !isStep(node) || !isStep(next)) return [];
  const between = source.text.slice(node.getEnd(), next.getStart(source));
  const replace = `${next.getText(source)}${between}${node.getText(source)}`;
  return [{ start: node.getStart(source), end: next.getEnd(), replace }];
}

/** Whether a statement calls something, or waits for it. */
const isStep = (node: ts.ExpressionStatement): boolean =>
  !isSuperCall(node) &&
  (ts.isCallExpression(node.expression) ||
    ts.isYieldExpression(node.expression) ||
    ts.isAwaitExpression(node.expression));

const isSuperCall = ({ expression }: ts.ExpressionStatement): boolean =>
  ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword;

const joinsText = ({ left, right, operatorToken }: ts.BinaryExpression): boolean =>
  operatorToken.kind === ts.SyntaxKind.PlusToken && (ts.isStringLiteralLike(left) || ts.isStringLiteralLike(right));
