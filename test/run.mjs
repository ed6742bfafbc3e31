// Runs the tests of suites with node's own runner: `node test/run.mjs [unit|e2e|fault|mutation|fresh|long|FILE…]`;
// default: $IMGTASK_TEST_SUITES (names with commas between), otherwise unit and e2e.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = new URL("..", import.meta.url).pathname;
process.chdir(root);

function filesBelow(directory) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory).sort().flatMap((name) => {
    const path = join(directory, name);
    return statSync(path).isDirectory() ? filesBelow(path) : name.endsWith(".test.ts") ? [path] : [];
  });
}

const suites = {
  unit: ["test/lib", "test/plugins", "test/distros", "test/contract", "test/types", "test/repository"],
  e2e: ["test/e2e"],
  fault: ["test/fault"],
  mutation: ["test/mutation"],
  fresh: ["test/fresh"],
  long: ["test/long"],
};
const asked = process.argv.slice(2);
const usual = (process.env.IMGTASK_TEST_SUITES || "unit,e2e").split(",");
const names = asked.length === 0 ? usual : asked;
const files = names.flatMap((name) => (suites[name] ? suites[name].flatMap(filesBelow) : [name]));
if (files.length === 0) {
  console.error(`no tests in ${names.join(", ")}`);
  process.exit(1);
}
if (!existsSync("dist/lib/cli/main.js") || process.env.IMGTASK_TEST_BUILD !== "0") {
  const built = spawnSync("npm", ["run", "--silent", "build"], { stdio: "inherit" });
  if (built.status !== 0) process.exit(built.status ?? 1);
}
const concurrency = process.env.IMGTASK_TEST_CONCURRENCY ?? "2";
const result = spawnSync(
  process.execPath,
  ["--import", "tsx", "--test", `--test-concurrency=${concurrency}`, "--test-reporter=./test/rig/closing.mjs", ...files],
  { stdio: "inherit" },
);
process.exit(result.status ?? 1);
