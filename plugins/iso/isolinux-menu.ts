/**
 * A vendor's ISOLINUX menu, made to start an unattended installation by itself. The vendor's entries stay; one more
 * comes first and is the default. Pure: texts in, texts out. Knows no layout.
 *
 * Format: doc/syslinux.txt and doc/menu.txt of SYSLINUX. One directive a line, case does not matter; `include` reads
 * another file in its place. A menu starts what `ontimeout` says, when nothing is pressed for `timeout` tenths of a
 * second: Debian's begins to speak then.
 * @module
 */
import { posix } from "node:path";
import type { Boot, MenuChange } from "./menu.ts";

interface Line {
  readonly text: string;
  /** The first word, lower case. */
  readonly word: string;
  /** What stands behind it. */
  readonly rest: string;
}

function lines(text: string): readonly Line[] {
  return text.split("\n").map((line) => {
    const [, word = "", rest = ""] = /^\s*(\S*)\s*(.*?)\s*$/.exec(line) ?? [];
    return { text: line, word: word.toLowerCase(), rest };
  });
}

/** Files of a configuration by path on the medium: its own, and those it includes where they are there. */
export function includedBy(main: string, read: (path: string) => string | undefined): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  const follow = (path: string): void => {
    const text = found.has(path) ? undefined : read(path);
    if (text === undefined) return;
    found.set(path, text);
    for (const { word, rest } of lines(text)) {
      if (word === "include" || (word === "menu" && /^include\s/i.test(rest))) {
        const name = rest.replace(/^include\s+/i, "").split(/\s/)[0]!;
        follow(name.startsWith("/") ? name : posix.join(posix.dirname(main), name));
      }
    }
  };
  follow(main);
  return found;
}

/** The kernels that labels start, in the order of the files as they are included. */
function boots(files: ReadonlyMap<string, string>): readonly Boot[] {
  const found: { kernel?: string; append?: string; initrd?: string }[] = [];
  for (const text of files.values()) {
    for (const { word, rest } of lines(text)) {
      if (word === "label") found.push({});
      const label = found.at(-1);
      if (label === undefined) continue;
      if (word === "kernel" || word === "linux") label.kernel = rest;
      else if (word === "append") label.append = rest;
      else if (word === "initrd") label.initrd = rest;
    }
  }
  return found.flatMap(({ kernel, append = "", initrd }) => {
    const words = append.split(/\s+/).filter((word) => word !== "");
    const initrds = initrd ?? words.find((word) => word.startsWith("initrd="))?.slice(7);
    if (kernel === undefined || initrds === undefined || /\.(c32|com|cbt|0|bin|bs|bss|img)$/i.test(kernel)) return [];
    return [{ kernel, initrds: initrds.split(","), arguments: words.filter((word) => !word.startsWith("initrd=")) }];
  });
}

/**
 * The files of a menu with an unattended entry in it, those that change; or `undefined` where there is no entry to
 * make it of.
 *
 * @param files by path, the main one first, as {@linkcode includedBy} gives them.
 */
export function unattendedIsolinux(files: ReadonlyMap<string, string>, change: MenuChange): ReadonlyMap<string, string> | undefined {
  const model = boots(files).find((boot) => change.model(boot));
  if (model === undefined) return undefined;
  const boot = change.boot(model);
  const entry = [
    `label ${change.id}`,
    `\tmenu label ^${change.title}`,
    "\tmenu default",
    `\tkernel ${boot.kernel}`,
    `\tappend initrd=${boot.initrds.join(",")} ${boot.arguments.join(" ")}`.trimEnd(),
  ];
  // In tenths of a second; 0 would wait for ever.
  const start = [`timeout ${Math.max(1, change.timeout * 10)}`, `ontimeout ${change.id}`];
  const changed = new Map<string, string>();
  let main = true;
  for (const [path, text] of files) {
    const kept = lines(text).filter(({ word, rest }) =>
      !(word === "timeout" || word === "ontimeout" || word === "totaltimeout" || (word === "menu" && /^(default|autoboot)\b/i.test(rest)) || (main && change.serial && word === "serial"))
    );
    let result = kept.map((line) => line.text);
    if (main) {
      const first = kept.findIndex(({ word, rest }) => word === "include" || word === "label" || (word === "menu" && /^(begin|include)\b/i.test(rest)));
      const at = first < 0 ? kept.length : first;
      result = [
        // Must come first, or what is said before it is lost.
        ...(change.serial ? ["serial 0 115200"] : []),
        ...result.slice(0, at),
        ...entry,
        ...result.slice(at),
      ];
      // A menu reads the last one; without a menu, this starts the entry as well.
      result = [...result.join("\n").replace(/\n*$/, "").split("\n"), ...start, ""];
      const program = /\.(c32|com)$/i;
      if (!kept.some(({ word, rest }) => (word === "default" || word === "ui") && program.test(rest))) {
        result = [...result.filter((line) => !/^\s*default\s/i.test(line)), `default ${change.id}`, ""];
      }
    }
    const joined = result.join("\n");
    if (joined !== text) changed.set(path, joined);
    main = false;
  }
  return changed;
}
