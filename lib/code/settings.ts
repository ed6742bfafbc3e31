/**
 * What a tsconfig.json says of how TypeScript becomes JavaScript. Compiles nothing.
 * @module
 */
import { dirname, join } from "node:path";
import { ts } from "ts-morph";

/** Settings that have a say in what modules do. */
export interface Settings {
  /** Imports that are not used stay. */
  readonly verbatim: boolean;
  /** Decorators are those of before the standard. */
  readonly oldDecorators: boolean;
  /** Fields of classes are assigned, not defined. */
  readonly assignedFields: boolean;
  /** A setting that changes what specifiers or imports mean, or that cannot be read. */
  readonly unknown: string | undefined;
}

/**
 * The settings that tsx finds: in the nearest tsconfig.json from a directory upwards.
 *
 * @param read gives the text of a file, or `undefined`; is asked for each file that has a say
 */
export function settingsOf(directory: string, read: (path: string) => string | undefined): Settings {
  const none: Settings = { verbatim: false, oldDecorators: false, assignedFields: false, unknown: undefined };
  for (let at = directory; ; at = dirname(at)) {
    const file = join(at, "tsconfig.json"), text = read(file);
    if (text !== undefined) return settingsIn(file, text, read);
    if (dirname(at) === at) return none;
  }
}

function settingsIn(file: string, text: string, read: (path: string) => string | undefined): Settings {
  const texts = [text];
  const { config } = ts.parseConfigFileTextToJson(file, text) as { config?: unknown };
  const readFile = (path: string): string | undefined => {
    const found = read(path);
    if (found !== undefined && !path.endsWith("package.json")) texts.push(found);
    return found;
  };
  const { options } = ts.parseJsonConfigFileContent(config ?? {}, { ...ts.sys, readDirectory: () => [], readFile }, dirname(file), undefined, file);
  const all = texts.join("\n");
  // Their meaning is tsx's own, or they are no longer known to the compiler.
  const unknown = ["paths", "baseUrl", "rootDirs", "preserveValueImports", "importsNotUsedAsValues"].find((name) => all.includes(`"${name}"`));
  return {
    verbatim: options.verbatimModuleSyntax === true,
    oldDecorators: options.experimentalDecorators === true,
    assignedFields: options.useDefineForClassFields === false || (options.useDefineForClassFields === undefined && options.target !== undefined && options.target < ts.ScriptTarget.ES2022),
    unknown,
  };
}
