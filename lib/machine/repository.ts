/**
 * Further archives that a machine takes packages from, each with the keys that sign it.
 * Plain, checked data. An archive without keys cannot be said.
 * @module
 */
import type { Source } from "../artifact.ts";
import * as fit from "../fit.ts";
import type { Fits } from "../option.ts";
import { check, checkPart, isLine } from "./check.ts";

/** An archive in Debian's format. */
export interface AptRepository {
  readonly type: "apt";
  /** Name of its files on the machine: letters, digits, `-`, `_`. */
  readonly name: string;
  /** `http:`, `https:` or `file:` address, without user and password. */
  readonly url: string;
  /** @example ["bookworm"] */
  readonly suites: readonly string[];
  /** @default ["main"] */
  readonly components?: readonly string[];
  /** Public keys, armored or binary; they count for this archive alone. */
  readonly key: Source;
}

/** A repository of RPM packages. */
export interface DnfRepository {
  readonly type: "dnf";
  /** Name of its files on the machine: letters, digits, `-`, `_`. */
  readonly name: string;
  /** For people. @default the name */
  readonly title?: string;
  /** `http:`, `https:` or `file:` address; `$releasever` and `$basearch` are dnf's own. */
  readonly url: string;
  /** Public keys, armored. */
  readonly key: Source;
}

/** An archive that packages come from beside the distribution's own. */
export type Repository = AptRepository | DnfRepository;

/** An archive with every default filled in. */
export type FullRepository = Required<AptRepository> | Required<DnfRepository>;

const common = { type: fit.needed(fit.word("apt", "dnf")), name: fit.needed(fit.text), url: fit.needed(fit.text), key: fit.needed(fit.sourceHandle) };
const aptFits: Fits<AptRepository> = { ...common, suites: fit.needed(fit.texts), components: fit.texts };
const dnfFits: Fits<DnfRepository> = { ...common, title: fit.text };

function isAddress(url: string): boolean {
  if (typeof url !== "string" || !isLine(url) || /[\s"'\\<>]/.test(url) || !URL.canParse(url)) return false;
  const { protocol, username, password, hash } = new URL(url);
  return ["http:", "https:", "file:"].includes(protocol) && username === "" && password === "" && hash === "";
}

/** Checks an archive and fills in its defaults. */
export function fullRepository(repository: Repository): FullRepository {
  checkPart(repository, repository?.type === "dnf" ? dnfFits : aptFits, "a repository");
  const { name, url, key } = repository;
  check(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name), "repository name", name, "letters, digits, - and _; 64 at most");
  check(isAddress(url), "repository url", url, "an http:, https: or file: address without user, password and spaces");
  if (repository.type === "apt") {
    const components = repository.components ?? ["main"];
    check(repository.suites.length > 0, "repository suites", repository.suites, "one at least");
    for (const part of [...repository.suites, ...components]) check(/^[A-Za-z0-9][A-Za-z0-9._/+~-]*$/.test(part), "repository suite", part, "a suite or component name");
    return { type: "apt", name, url, suites: [...repository.suites], components: [...components], key };
  }
  const title = repository.title ?? name;
  check(isLine(title) && title.trim() === title && title !== "" && !/[%[\]]/.test(title), "repository title", title, "one line without %, [ and ]");
  return { type: "dnf", name, title, url, key };
}
