/**
 * `npm run bench [-- images|engine] [--runs N] [--targets N,N]`: measures side by side, and prints Markdown.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { benchEngine } from "./engine.ts";
import { benchImages } from "./images.ts";
import { machineLine, time } from "./measure.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: "string", default: "3" }, targets: { type: "string", default: "50,1000" } },
});
const whole = (text: string, name: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes whole numbers, not "${text}"`);
};
const runs = whole(values.runs, "runs");
const sizes = values.targets.split(",").map((text) => whole(text, "targets"));
const suites = positionals.length === 0 ? ["images", "engine"] : positionals;
const unknown = suites.find((name) => name !== "images" && name !== "engine");
if (unknown !== undefined) throw new Error(`no benchmark "${unknown}": images, engine`);

// On the disk that holds temporary files, as users have it; TMPDIR=/dev/shm measures without it.
const place = mkdtempSync(join(tmpdir(), "imgtask-bench-"));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
try {
  time(["npm", "run", "--silent", "build"], { cwd: resolve(import.meta.dirname, "../.."), log: join(place, "build.log") });
  console.log(`Measured on ${machineLine()}; files in ${tmpdir()}.\n`);
  for (const suite of suites) console.log(suite === "images" ? benchImages({ runs, place, say }) : benchEngine({ runs, place, sizes, say }));
} finally {
  rmSync(place, { recursive: true, force: true });
}
