/**
 * Files on an EFI system partition that is a file of its own: which there are, read and replaced, with mtools.
 * Knows nothing of what is in them.
 * @module
 */
import { readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ImgtaskError, type RunContext } from "../../lib/mod.ts";

type Context = Pick<RunContext, "exec" | "epoch" | "tmp">;

/** mtools stamp entries with SOURCE_DATE_EPOCH in the local time zone, and read settings of the user. */
function environment({ epoch, tmp }: Context): Record<string, string> {
  return { SOURCE_DATE_EPOCH: String(epoch), TZ: "UTC", HOME: tmp, MTOOLSRC: "/dev/null" };
}

/** Paths of all files, beginning with `/`, as they are written there. */
export async function listEsp(image: string, context: Context): Promise<readonly string[]> {
  const { stdout } = await context.exec(["mdir", "-/", "-b", "-i", image, "::"], { stdout: "capture", env: environment(context) });
  return stdout.split("\n").filter((line) => line.startsWith("::/") && !line.endsWith("/")).map((line) => line.slice(2));
}

/** The text of a file. */
export async function readEsp(image: string, path: string, context: Context): Promise<string> {
  const to = join(context.tmp, "from-esp");
  writeFileSync(to, "");
  await context.exec(["mcopy", "-n", "-o", "-i", image, `::${path}`, to], { env: environment(context) });
  return readFileSync(to, "utf8");
}

/**
 * Replaces a file.
 *
 * @throws {ImgtaskError} IMG3452 when the partition has no room for it.
 */
export async function writeEsp(image: string, path: string, text: string, context: Context): Promise<void> {
  const from = join(context.tmp, "to-esp");
  writeFileSync(from, text);
  utimesSync(from, context.epoch, context.epoch);
  const { code } = await context.exec(["mcopy", "-m", "-o", "-i", image, from, `::${path}`], { env: environment(context), ok: [0, 1] });
  if (code === 0) return;
  throw new ImgtaskError("IMG3452", `The medium's EFI system partition has no room for its changed menu "${path}"`, {
    expected: `${Buffer.byteLength(text)} bytes`,
    hint: "What mcopy said is in this target's log",
  });
}
