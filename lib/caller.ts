/**
 * Where in the user's own code a declaration stands. Knows nothing of what is declared.
 * @module
 */
import { fileURLToPath } from "node:url";
import type { Location } from "./error.ts";

const ownDirectory = import.meta.dirname ?? fileURLToPath(new URL(".", import.meta.url));
const packageDirectory = ownDirectory.replace(/[\\/]lib[\\/]?$/, "");

/** Places in the user's code, by places in the code that runs. */
const known = new Map<string, readonly Location[]>();

/**
 * The frames of the current stack that are not in this package's own lib, plugins or distros, the innermost first.
 * They are looked up in source maps once, however often a place declares something, as in a loop.
 */
export function callerFrames(): readonly Location[] {
  const running = runningPlaces();
  let frames = known.get(running);
  if (frames === undefined) known.set(running, (frames = sourcePlaces()));
  return frames;
}

/** The innermost of some frames that is in code of the user's own, or else in whatever called. */
export function placeIn(frames: readonly Location[]): Location | undefined {
  return frames.find(({ file }) => !file.includes("/node_modules/")) ?? frames[0];
}

/** Where in the user's code the current call comes from. */
export function callerLocation(): Location | undefined {
  return placeIn(callerFrames());
}

/** Where the code that runs stands, which need not be what the user wrote. */
function runningPlaces(): string {
  const { stackTraceLimit, prepareStackTrace } = Error;
  Error.stackTraceLimit = 40;
  Error.prepareStackTrace = (_error, sites) => {
    let places = "";
    for (const site of sites) {
      const file = site.getFileName() ?? "";
      if (!file.startsWith("node:")) places += `${file}:${site.getLineNumber()}:${site.getColumnNumber()}\n`;
    }
    return places;
  };
  try {
    const holder: { stack?: unknown } = {};
    Error.captureStackTrace(holder, callerFrames);
    return String(holder.stack);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}

function sourcePlaces(): readonly Location[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 40;
  const stack = new Error("stack").stack ?? "";
  Error.stackTraceLimit = limit;
  const frames: Location[] = [];
  for (const line of stack.split("\n").slice(1)) {
    const match = /(?:\(|at (?:async )?)((?:file:\/\/)?\/[^()]*?)(?:\?[^:()]*)?:(\d+):(\d+)\)?$/.exec(line);
    if (match === null) continue;
    const file = match[1]!.startsWith("file:") ? fileURLToPath(match[1]!) : match[1]!;
    const inside = file.startsWith(`${packageDirectory}/`) ? file.slice(packageDirectory.length + 1) : undefined;
    if (inside !== undefined && /^(lib|plugins|distros)\//.test(inside)) continue;
    frames.push({ file, line: Number(match[2]), column: Number(match[3]) });
  }
  return frames;
}
