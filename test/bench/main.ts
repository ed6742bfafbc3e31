/**
 * `npm run bench [-- images|engine] [--runs N]`: measures side by side, and prints Markdown.
 * For the engine: `--only noop-1000,sparse` runs some cases, `--peers make,ninja` names the peers (`none`: no peer),
 * `--patience 300` gives one run of a peer more than 60 seconds, `--faults` looks at what is served after damage.
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { benchEngine, caseNames } from "./engine.ts";
import { benchFaults } from "./faults.ts";
import { benchImages } from "./images.ts";
import { machineLine, time } from "./measure.ts";
import { installImgtask, installPeers, peerNames } from "./peers.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "3" },
    only: { type: "string" },
    peers: { type: "string" },
    patience: { type: "string", default: "60" },
    faults: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  console.log("npm run bench [-- [images] [engine] [--runs N] [--only CASE,…] [--peers NAME,…|none] [--patience SECONDS] [--faults]]\n" +
    `cases of the engine: ${caseNames.join(", ")}; peers: ${peerNames.join(", ")}`);
  process.exit();
}
const whole = (text: string, name: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new Error(`--${name} takes whole numbers, not "${text}"`);
};
const some = (text: string | undefined, known: readonly string[], name: string): readonly string[] | undefined => {
  const names = text === "none" ? [] : text?.split(",");
  const unknown = names?.find((one) => !known.includes(one));
  if (unknown !== undefined) throw new Error(`--${name} knows no "${unknown}": ${known.join(", ")}`);
  return names;
};
const runs = whole(values.runs, "runs");
const patience = whole(values.patience, "patience");
const only = some(values.only, caseNames, "only") ?? caseNames;
const peers = some(values.peers, peerNames, "peers");
const suites = positionals.length === 0 ? ["images", "engine"] : positionals;
const unknown = suites.find((name) => name !== "images" && name !== "engine");
if (unknown !== undefined) throw new Error(`no benchmark "${unknown}": images, engine`);

// On the disk that holds temporary files, as users have it; TMPDIR=/dev/shm measures without it.
const place = mkdtempSync(join(tmpdir(), "imgtask-bench-"));
const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function engine(): Promise<string> {
  const imgtask = installImgtask(place);
  const bench = { runs, patience, place, say, imgtask, peers: installPeers(place, peers, say) };
  return values.faults ? benchFaults(bench) : benchEngine(bench, only);
}

try {
  time(["npm", "run", "--silent", "build"], { cwd: resolve(import.meta.dirname, "../.."), log: join(place, "build.log") });
  console.log(`Measured on ${machineLine()}; files in ${tmpdir()}.\n`);
  for (const suite of suites) console.log(suite === "images" ? benchImages({ runs, place, say }) : await engine());
} finally {
  rmSync(place, { recursive: true, force: true });
}
