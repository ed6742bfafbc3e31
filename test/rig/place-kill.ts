/**
 * Kills the real command line while it publishes, and looks at the place after each kill.
 * @module
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import type { Place } from "./places.ts";
import { processesWith, TestProject } from "./project.ts";

const big = 12 * 1024 * 1024;
const target = "publish:it";

type Files = Record<string, Buffer>;

/** An imagefile whose target `publish:it` publishes one ISO, the file `bytes`, by the publisher of an order. */
export function imagefileFor({ order }: Pick<Place, "order">): string {
  const options = (Array.isArray(order.options) ? order.options : [order.options]) as readonly unknown[];
  const module = /\/plugins\/(publish\/[a-z0-9-]+)\.ts$/.exec(order.module)![1]!;
  return `import { output, publish, source, target } from "imgtask";
import { ${order.factory} } from "imgtask/plugins/${module}";
import { copyFileSync } from "node:fs";
const kali = target("iso:kali", { inputs: { bytes: source("bytes") }, outputs: { out: output("file", "iso", { path: "artifacts/iso/kali.iso" }) }, run: ({ inputs, outputs }) => copyFileSync(inputs.bytes, outputs.out) });
export default publish("it", { artifacts: [kali], untested: "random bytes", to: ${order.factory}(...${JSON.stringify(options)}) });
`;
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const sha256 = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

/** Whether all that a visible list of checksums lists is there, byte for byte. */
function checkList(there: Files, what: string): void {
  const list = there["SHA256SUMS"];
  if (list === undefined) return;
  for (const line of list.toString().trimEnd().split("\n")) {
    const [digest, name] = line.split("  ");
    assert.ok(there[name!] !== undefined, `${what}: "${name}" is listed, and not there`);
    assert.equal(sha256(there[name!]!), digest, `${what}: "${name}" is not as listed`);
  }
}

/**
 * Publishes something new again and again, each time killed by SIGKILL at another point of the publication, then once
 * more to its end.
 *
 * @returns what was counted, for people.
 */
export async function killWhilePublishing(place: Place, kills: number): Promise<string> {
  using project = new TestProject({ "imagefile.ts": imagefileFor(place) });
  const env = { ...place.order.env, ...place.environment };
  let begun = 0;
  const attempts = (): number => (project.exists(".imgtask/logs") ? readdirSync(project.path(".imgtask/logs"), { recursive: true, encoding: "utf8" }).filter((name) => /publish.*\/\d[^/]*\.log$/.test(name)).length : 0);
  /** Builds what is to be published, then publishes it; killed so many milliseconds after the publication began. */
  const run = async (killAfter: number): Promise<{ readonly killed: boolean; readonly took: number }> => {
    begun = attempts();
    const { child, finished } = project.start(["run", target], { env, timeout: 300_000 });
    let over = false;
    const ended = finished.then((result) => ((over = true), result));
    while (!over && attempts() === begun) await pause(5);
    const started = Date.now();
    if (killAfter !== Infinity) await Promise.race([pause(killAfter), ended]);
    if (killAfter !== Infinity) child.kill("SIGKILL");
    const { code, signal, stderr, stdout } = await ended;
    assert.ok(code === 0 || signal === "SIGKILL", `${code}: ${stdout}${stderr}`);
    const took = Date.now() - started;
    // What it started is ended by its guard.
    for (const end = Date.now() + 30_000; processesWith(project.directory).length > 0; await pause(50)) assert.ok(Date.now() < end, "processes are left 30 s after the kill");
    return { killed: signal === "SIGKILL", took };
  };
  const renew = async (): Promise<Buffer> => {
    const bytes = randomBytes(big);
    project.write("bytes", bytes);
    const { code, stderr } = await project.start(["run", "iso:kali"], { env }).finished;
    assert.equal(code, 0, stderr);
    return bytes;
  };
  const image = (there: Files): Buffer | undefined => Object.entries(there).find(([name]) => name.endsWith("kali.iso"))?.[1];
  const counts = { old: 0, mixed: 0, fresh: 0, ended: 0 };
  await renew();
  let whole = (await run(Infinity)).took;
  if (place.unchanging === true) await place.empty();
  let before = await place.read();
  for (let point = 1; point <= kills; point++) {
    const bytes = await renew();
    const what = `killed at point ${point} of ${kills}`;
    const { killed, took } = await run((whole * point) / (kills + 1));
    const there = await place.read();
    checkList(place.unchanging === true || image(there)?.equals(bytes) !== true ? there : {}, what);
    const again = await run(Infinity);
    // The first was a slow one: without this, later kills would all come behind the end.
    if (!killed) [counts.ended, whole] = [counts.ended + 1, (whole + took) / 2];
    else whole = whole * 0.9 + Math.max(again.took, whole / 2) * 0.1;
    const after = await place.read();
    assert.ok(image(after)?.equals(bytes), `${what}: the run that follows publishes it`);
    checkList(after, `after the run that follows ${what}`);
    for (const [name, content] of Object.entries(there)) {
      assert.ok(before[name]?.equals(content) === true || after[name]?.equals(content) === true, `${what}: "${name}" is neither the old file nor the new one, ${content.length} bytes`);
    }
    if (place.gap !== true) for (const name of Object.keys(before)) assert.ok(there[name] !== undefined, `${what}: "${name}" is gone`);
    const fresh = Object.keys(after).filter((name) => !(before[name]?.equals(after[name]!) ?? false));
    const seen = fresh.filter((name) => there[name]?.equals(after[name]!) === true);
    if (seen.includes("SHA256SUMS")) assert.equal(seen.length, fresh.length, `${what}: the list is new, and not all that it lists`);
    counts[seen.length === 0 ? "old" : seen.length === fresh.length ? "fresh" : "mixed"]++;
    if (place.unchanging === true) await place.empty();
    before = await place.read();
  }
  return `SIGKILL at ${kills} points of ${Math.round(whole)} ms: half files 0; nothing new ${counts.old}, all new ${counts.fresh}, new ones in front of old ones or of none ${counts.mixed}; ${counts.ended} had ended before`;
}
