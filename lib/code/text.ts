/**
 * The normal form of code: its syntax tree as text, without comments, layout, types and the names of locals.
 * Two pieces of code with one normal form do the same. Knows no scopes: what names stand for is told to it.
 * @module
 */
import { ts } from "ts-morph";

/** What names stand for. */
export interface Namer {
  /** Text for a name that stands for a value. */
  reference(node: ts.Identifier): string;
  /** Text for the name of a declaration. */
  declaration(node: ts.Identifier): string;
  /** Text for a node that is more than its parts, or `undefined`. */
  special(node: ts.Node): string | undefined;
}

const { SyntaxKind } = ts;

/** Modifiers that mean something when the program runs. */
const kept = new Set([SyntaxKind.AsyncKeyword, SyntaxKind.StaticKeyword, SyntaxKind.AccessorKeyword]);

/** Whether nothing of a node is left when types are taken away. */
export function isErased(node: ts.Node): boolean {
  if (ts.isExpressionWithTypeArguments(node)) return false;
  if (ts.isTypeNode(node) || ts.isTypeParameterDeclaration(node) || ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return true;
  if (node.kind === SyntaxKind.EmptyStatement || node.kind === SyntaxKind.QuestionToken || node.kind === SyntaxKind.ColonToken || node.kind === SyntaxKind.ExclamationToken) return true;
  if (ts.isModifier(node)) return !kept.has(node.kind);
  if (ts.isHeritageClause(node) && node.token === SyntaxKind.ImplementsKeyword) return true;
  if (ts.isIndexSignatureDeclaration(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return true;
  if (ts.isParameter(node) && ts.isIdentifier(node.name) && node.name.text === "this") return true;
  if (ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === SyntaxKind.DeclareKeyword || kind === SyntaxKind.AbstractKeyword)) return !ts.isClassDeclaration(node) || ts.getModifiers(node)!.some(({ kind }) => kind === SyntaxKind.DeclareKeyword);
  return (ts.isFunctionDeclaration(node) || ts.isMethodDeclaration(node) || ts.isConstructorDeclaration(node)) && node.body === undefined;
}

/** An expression without parentheses and what says something of its type alone. */
export function strip(node: ts.Expression): ts.Expression {
  while (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node) || ts.isNonNullExpression(node) || ts.isTypeAssertionExpression(node)) node = node.expression;
  return node;
}

function propertyName(node: ts.Node, of: (node: ts.Node) => string): string {
  if (ts.isIdentifier(node) || ts.isStringLiteralLike(node) || ts.isNumericLiteral(node) || ts.isPrivateIdentifier(node)) return `.${JSON.stringify(node.text)}`;
  return of(node);
}

/** Fields of nodes that are no nodes themselves, and mean something. */
function mark(node: ts.Node): string {
  if (ts.isPrefixUnaryExpression(node) || ts.isPostfixUnaryExpression(node)) return SyntaxKind[node.operator];
  if (ts.isVariableDeclarationList(node)) return String(node.flags & ts.NodeFlags.BlockScoped);
  if (ts.isMetaProperty(node)) return `${SyntaxKind[node.keywordToken]}.${node.name.text}`;
  if (ts.isParameter(node) && ts.isParameterPropertyDeclaration(node, node.parent) && ts.isIdentifier(node.name)) return `property ${node.name.text}`;
  if (ts.isClassLike(node) && node.name !== undefined) return node.name.text;
  if (ts.isLabeledStatement(node) || ts.isBreakOrContinueStatement(node)) return node.label?.text ?? "";
  return (node.flags & ts.NodeFlags.OptionalChain) === 0 ? "" : "chain";
}

/** The normal form of a node. */
export function normalForm(root: ts.Node, namer: Namer): string {
  const all = (nodes: readonly (ts.Node | undefined)[]): string => nodes.map((node) => (node === undefined ? "-" : of(node))).join("");
  const of = (node: ts.Node): string => {
    if (isErased(node)) return "";
    const special = namer.special(node);
    if (special !== undefined) return special;
    if (ts.isExpression(node) && strip(node) !== node) return of(strip(node));
    if (ts.isIdentifier(node)) return `(${namer.reference(node)})`;
    if (ts.isPrivateIdentifier(node)) return `(${node.text})`;
    if (ts.isStringLiteralLike(node) && !ts.isTaggedTemplateExpression(node.parent)) return `(${JSON.stringify(node.text)})`;
    if (ts.isNumericLiteral(node) || ts.isBigIntLiteral(node) || ts.isRegularExpressionLiteral(node)) return `(${SyntaxKind[node.kind]} ${node.text})`;
    if (ts.isTemplateLiteralToken(node)) return `(${JSON.stringify(isTagged(node) ? node.getText().replaceAll("\r\n", "\n") : node.text)})`;
    if (ts.isPropertyAccessExpression(node)) return `(get${mark(node)}${node.questionDotToken === undefined ? "" : "?"} ${of(node.expression)}${propertyName(node.name, of)})`;
    if (ts.isShorthandPropertyAssignment(node)) {
      const value = `${propertyName(node.name, of)}(${namer.reference(node.name)})`;
      return node.objectAssignmentInitializer === undefined ? `(PropertyAssignment ${value})` : `(PropertyAssignment ${value}=${of(node.objectAssignmentInitializer)})`;
    }
    if (ts.isBindingElement(node)) {
      const from = node.dotDotDotToken !== undefined ? "..." : ts.isArrayBindingPattern(node.parent) ? "" : propertyName(node.propertyName ?? node.name, of);
      return `(bind ${from}${bound(node.name)}${node.initializer === undefined ? "" : `=${of(node.initializer)}`})`;
    }
    if (ts.isForStatement(node)) return `(for ${all([node.initializer, node.condition, node.incrementor, node.statement])})`;
    if (ts.isLabeledStatement(node)) return `(label ${mark(node)}${of(node.statement)})`;
    if (ts.isBreakOrContinueStatement(node)) return `(${SyntaxKind[node.kind]} ${mark(node)})`;
    if (ts.isMetaProperty(node)) return `(${mark(node)})`;
    if (ts.isExportAssignment(node)) return of(node.expression);
    const kind = ts.isFunctionExpression(node) || ts.isFunctionDeclaration(node) ? "function" : SyntaxKind[node.kind];
    let inner = "";
    const name = (node as ts.NamedDeclaration).name;
    ts.forEachChild(node, (child) => {
      if (child !== name) inner += of(child);
      else if (ts.isVariableDeclaration(node) || ts.isParameter(node) || ((ts.isFunctionExpression(node) || ts.isFunctionDeclaration(node)) && ts.isIdentifier(child))) inner += bound(child as ts.BindingName);
      else if (!ts.isClassLike(node)) inner += propertyName(child, of);
      else namer.declaration(child as ts.Identifier);
    });
    return `(${kind} ${mark(node)}${inner})`;
  };
  const bound = (name: ts.BindingName): string => (ts.isIdentifier(name) ? `(${namer.declaration(name)})` : of(name));
  return of(root);
}

function isTagged(node: ts.Node): boolean {
  const template = ts.isTemplateExpression(node.parent) ? node.parent : ts.isTemplateSpan(node.parent) ? node.parent.parent : node;
  return ts.isTaggedTemplateExpression(template.parent);
}
