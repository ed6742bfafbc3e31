/**
 * What values are, as far as can be seen when a call is made: of a mistyped imagefile, or one in JavaScript, that no type
 * checker has read. Knows handles, and no kind.
 * @module
 */
import { type Artifact, isArtifact, isSource, isSourceGlob } from "./artifact.ts";

/** What the value of an option is. */
export interface Fit {
  /** For people: `"a list"`. */
  readonly expected: string;
  fits(value: unknown): boolean;
  /** The option cannot be left out. */
  readonly needed?: true;
}

/** The fit of an option that can be left out. */
export type Optional = Fit & { readonly needed?: never };

/** A fit by a function of one's own. */
export function by(expected: string, fits: (value: unknown) => boolean): Optional {
  return { expected, fits };
}

/** The fit of an option that cannot be left out. */
export function needed(of: Fit): Fit & { readonly needed: true } {
  return { ...of, needed: true };
}

/** Whether a value is an object, and no list. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Text. */
export const text: Optional = by("a string", (value) => typeof value === "string");
/** A number; its range is looked at elsewhere. */
export const number: Optional = by("a number", (value) => typeof value === "number");
/** `true` or `false`. */
export const flag: Optional = by("true or false", (value) => typeof value === "boolean");
/** A list of anything. */
export const list: Optional = by("a list", Array.isArray);
/** An object; what is in it is looked at elsewhere. */
export const record: Optional = by("an object", isObject);
/** A list of things that all fit. */
export function listOf(one: Fit, expected: string): Optional {
  return by(expected, (value) => Array.isArray(value) && value.every((item) => one.fits(item)));
}
/** A list of texts. */
export const texts: Optional = listOf(text, "a list of strings");
/** A function. */
export const callable: Optional = by("a function", (value) => typeof value === "function");
/** What is looked at elsewhere. */
export const anything: Optional = by("a value", () => true);
/** One of some words. */
export function word(...known: readonly string[]): Optional {
  return by(known.map((one) => JSON.stringify(one)).join(" or "), (value) => known.includes(value as string));
}
/** A handle to a secret. */
export const secretHandle: Optional = by("a handle, as secret.env() or secret.file() give it", (value) => isObject(value) && value["type"] === "secret");
/** A file or directory of the host. */
export const sourceHandle: Optional = by("a handle, as source() gives it", isSource);

/** The artifact that a handle stands for, be it the artifact or the target whose principal output it is. */
function artifactIn(value: unknown): Artifact | undefined {
  if (isArtifact(value)) return value;
  const out = isObject(value) && isObject(value["outputs"]) ? value["outputs"]["out"] : undefined;
  return isArtifact(out) ? out : undefined;
}

/** What a target makes, whatever it is. */
export const handle: Optional = by("what a target makes", (value) => artifactIn(value) !== undefined);

/**
 * A handle to an output of one of some types.
 *
 * @param expected for people, as `"verified media, as verify() gives them"`.
 */
export function made(types: readonly string[], expected: string): Optional {
  return by(expected, (value) => {
    const artifact = artifactIn(value);
    return artifact !== undefined && types.includes(artifact.type);
  });
}

/** A target with an output of a type, and with what else its kind gives it. */
export function target(type: string, parts: readonly string[], expected: string): Optional {
  return by(expected, (value) => isObject(value) && !isArtifact(value) && artifactIn(value)?.type === type && parts.every((part) => value[part] !== undefined));
}

/** Any of some fits. */
export function either(...of: readonly Fit[]): Optional {
  return by(of.map(({ expected }) => expected).join(", or "), (value) => of.some((one) => one.fits(value)));
}

/** What something is, without its content: that may be a secret. */
export function kindOf(value: unknown): string {
  const artifact = artifactIn(value);
  if (artifact !== undefined) return `"${artifact.target}" (${artifact.type})`;
  if (isSource(value) || isSourceGlob(value)) return "a source";
  if (value === undefined) return "nothing";
  if (value === null || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) return "a list";
  if (isObject(value) && typeof value["title"] === "string") return value["title"];
  return /^[aeiou]/.test(typeof value) ? `an ${typeof value}` : `a ${typeof value}`;
}
