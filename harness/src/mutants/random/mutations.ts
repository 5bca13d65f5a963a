import ts from 'typescript';

/** One small change of a source, of the kind that people make by mistake. */
export interface Mutation {
  /** Where the text begins that is replaced, in characters. */
  readonly start: number;
  readonly end: number;
  readonly replace: string;
  /** The same change as other code for whole expressions and statements, so that it can be chosen while a program runs. */
  readonly variants: readonly Variant[];
}

/** Other code for an expression or a statement. */
export interface Variant {
  readonly start: number;
  readonly end: number;
  readonly isStatement: boolean;
  readonly code: string;
  /** Whether evaluating it does nothing: then it is seen whether it is something else than what it stands for. */
  readonly isPure: boolean;
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

/** All changes of a TypeScript source, in the order of their places. Types, imports, lists of names and the texts of errors stay. */
export function mutationsOf(text: string): readonly Mutation[] {
  const source = ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest, true);
  const found: Mutation[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || listsNames(node)) return;
    found.push(...changesOf(node, source));
    // What an error says is not what the log does.
    if (!ts.isThrowStatement(node)) node.forEachChild(visit);
  };
  visit(source);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

function changesOf(node: ts.Node, source: ts.SourceFile): readonly Mutation[] {
  if (ts.isThrowStatement(node)) return [replaced(node, ';', source)];
  if (ts.isExpressionStatement(node)) {
    return [...(isSuperCall(node) ? [] : [replaced(node, ';', source)]), ...exchanged(node, source)];
  }
  if (ts.isIfStatement(node)) return ['true', 'false'].map((by) => replaced(node.expression, by, source));
  if (ts.isPrefixUnaryExpression(node) && node.operator === ts.SyntaxKind.ExclamationToken) {
    return [replaced(node, node.operand.getText(source), source)];
  }
  if (ts.isBinaryExpression(node) && !joinsText(node)) {
    const changed = OPERATORS.get(node.operatorToken.kind) ?? [];
    return changed.map((operator) => withOperator(node, operator, source));
  }
  if (ts.isPropertyAccessExpression(node)) {
    const other = SWAPPED[node.getText(source)];
    return other === undefined ? [] : [withFunction(node, other, source)];
  }
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [replaced(node, 'false', source)];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [replaced(node, 'true', source)];
  return [];
}

/** A whole expression or statement that becomes something else. */
function replaced(node: ts.Node, replace: string, source: ts.SourceFile): Mutation {
  const variant = variantOf(node, replace, source);
  return { start: variant.start, end: variant.end, replace, variants: [variant] };
}

function withOperator(node: ts.BinaryExpression, operator: string, source: ts.SourceFile): Mutation {
  const [start, end] = [node.operatorToken.getStart(source), node.operatorToken.getEnd()];
  const code = source.text.slice(node.getStart(source), start) + operator + source.text.slice(end, node.getEnd());
  return { start, end, replace: operator, variants: [variantOf(node, code, source)] };
}

/** Another function that is called with the same. */
function withFunction(node: ts.Expression, replace: string, source: ts.SourceFile): Mutation {
  const { parent } = node;
  if (!ts.isCallExpression(parent) || parent.expression !== node) return replaced(node, replace, source);
  const code = replace + source.text.slice(node.getEnd(), parent.getEnd());
  return { start: node.getStart(source), end: node.getEnd(), replace, variants: [variantOf(parent, code, source)] };
}

const variantOf = (node: ts.Node, code: string, source: ts.SourceFile): Variant => ({
  start: node.getStart(source),
  end: node.getEnd(),
  isStatement: ts.isStatement(node),
  code,
  isPure: code === 'true' || code === 'false' || isPure(node, source),
});

/** Whether evaluating an expression does nothing, and does not wait. */
function isPure(node: ts.Node, source: ts.SourceFile): boolean {
  if (ts.isStatement(node) || ts.isNewExpression(node) || ts.isDeleteExpression(node)) return false;
  if (ts.isYieldExpression(node) || ts.isAwaitExpression(node) || ts.isTaggedTemplateExpression(node)) return false;
  if (ts.isCallExpression(node) && SWAPPED[node.expression.getText(source)] === undefined) return false;
  if (ts.isBinaryExpression(node) && isAssignment(node.operatorToken.kind)) return false;
  if (ts.isPostfixUnaryExpression(node) || (ts.isPrefixUnaryExpression(node) && COUNTS.has(node.operator)))
    return false;
  return node.forEachChild((child) => !isPure(child, source)) !== true;
}

const isAssignment = (kind: ts.SyntaxKind): boolean =>
  kind >= ts.SyntaxKind.FirstAssignment && kind <= ts.SyntaxKind.LastAssignment;

const COUNTS: ReadonlySet<ts.SyntaxKind> = new Set([ts.SyntaxKind.PlusPlusToken, ts.SyntaxKind.MinusMinusToken]);

/** A step in the place of the next one, and the next one in its place. */
function exchanged(node: ts.ExpressionStatement, source: ts.SourceFile): readonly Mutation[] {
  const { parent } = node;
  if (!ts.isBlock(parent)) return [];
  const next = parent.statements[parent.statements.indexOf(node) + 1];
  if (next === undefined || !ts.isExpressionStatement(next) || !isStep(node) || !isStep(next)) return [];
  const [start, end] = [node.getStart(source), next.getEnd()];
  const replace = next.getText(source) + source.text.slice(node.getEnd(), next.getStart(source)) + node.getText(source);
  const variants = [variantOf(node, next.getText(source), source), variantOf(next, node.getText(source), source)];
  return [{ start, end, replace, variants }];
}

/** Whether a statement calls something, or waits for it. */
const isStep = (node: ts.ExpressionStatement): boolean =>
  !isSuperCall(node) &&
  (ts.isCallExpression(node.expression) ||
    ts.isYieldExpression(node.expression) ||
    ts.isAwaitExpression(node.expression));

/** A list of names in the form of an object, whose values say nothing. */
const listsNames = (node: ts.Node): boolean =>
  ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'optionNames';

const isSuperCall = ({ expression }: ts.ExpressionStatement): boolean =>
  ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword;

const joinsText = ({ left, right, operatorToken }: ts.BinaryExpression): boolean =>
  operatorToken.kind === ts.SyntaxKind.PlusToken && (ts.isStringLiteralLike(left) || ts.isStringLiteralLike(right));
