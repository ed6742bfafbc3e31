/**
 * What notices are asked for: the packages that are on a medium or in an image, and when it was made. From names of files and
 * lists that are there; opens no package. Knows no distribution by name.
 * @module
 */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isPin, type NoticeContext } from "../../lib/mod.ts";
import { packageOfFile, packagesOfList, type Present, type Subject } from "./present.ts";
import { listedRpms } from "./rpm-medium.ts";

/** When an ISO image was made, as its primary volume descriptor says. Source: ECMA-119, 8.4.26. */
async function createdOn(path: string): Promise<string | undefined> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(2048), 0, 2048, 16 * 2048);
    if (buffer.toString("latin1", 1, 6) !== "CD001") return undefined;
    const [, year, month, day, hour, minute, second] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(buffer.toString("latin1", 813, 829)) ?? [];
    const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    return Number.isNaN(time) ? undefined : new Date(time).toISOString();
  } finally {
    await file.close();
  }
}

/** The packages on an ISO image: files of packages, and the lists that Ubuntu's installer keeps of its layers. */
async function packagesOn(image: string, context: NoticeContext): Promise<readonly Present[]> {
  const { stdout } = await context.exec(["xorriso", "-abort_on", "FAILURE", "-indev", `stdio:${image}`, "-find", "/", "-type", "f", "-exec", "echo", "--"], { stdout: "capture", timeout: 120_000 });
  const paths = stdout.split("\n").flatMap((line) => /^'(\/[^']+)'$/.exec(line)?.[1] ?? []);
  // Where lists cannot be read, names of files tell the rest.
  const listed = await listedRpms(image, paths, context).catch((error: unknown) => {
    if (context.signal.aborted) throw error;
    return { packages: [], files: new Set<string>() };
  });
  const packages = [...listed.packages, ...paths.flatMap((path) => (listed.files.has(path) ? [] : packageOfFile(path) ?? []))];
  const lists = paths.filter((path) => /^\/casper\/[a-z0-9.-]+\.manifest$/.test(path));
  for (const [index, path] of lists.entries()) {
    const file = join(context.tmp, `manifest-${index}`);
    await context.exec(["xorriso", "-osirrox", "on", "-indev", `stdio:${image}`, "-extract", path, file], { timeout: 60_000 });
    packages.push(...packagesOfList(await readFile(file, "utf8")));
  }
  return packages;
}

/** The medium that `verify` made, if it is the one that is pinned and in the store. */
export async function imageSubject(context: NoticeContext): Promise<Subject> {
  const { entry } = context;
  const listed = entry?.list?.signedAt;
  const [image, manifest] = [await context.stored("out", "media.iso"), await context.stored("out", "media.json")];
  if (image === undefined || manifest === undefined) return listed === undefined ? {} : { since: listed };
  const { files } = JSON.parse(await readFile(manifest, "utf8")) as { readonly files: Readonly<Record<string, { readonly sha256: string } | undefined>> };
  if (isPin(entry) && files["media.iso"]?.sha256 !== entry.sha256) return listed === undefined ? {} : { since: listed };
  const since = (await createdOn(image)) ?? listed;
  const packages = await packagesOn(image, context).catch((error: unknown) => {
    if (context.signal.aborted) throw error;
    return [];
  });
  return { ...(since === undefined ? {} : { since }), ...(packages.length === 0 ? {} : { packages }) };
}

/** The root file system that `rootfs` made, if it is in the store. */
export async function rootfsSubject(context: NoticeContext): Promise<Subject> {
  const list = await context.stored("packages");
  return list === undefined ? {} : { packages: packagesOfList(await readFile(list, "utf8")) };
}
