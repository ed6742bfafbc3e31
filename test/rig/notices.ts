/**
 * Security notices in the vendors' own forms, to be served: metadata of RPM repositories by createrepo_c, a signed security
 * archive, lists of the Debian security tracker. Knows nothing of the code under test.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** An update, as vendors write them. */
export interface Update {
  readonly id: string;
  readonly type?: string;
  readonly severity?: string;
  readonly title?: string;
  readonly issued?: string;
  readonly cves?: readonly string[];
  /** `name version release arch`. */
  readonly packages: readonly string[];
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;");

/** An `updateinfo.xml`. */
export function updateinfo(updates: readonly Update[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n${updates.map(({ id, type = "security", severity, title = `${id} security update`, issued = "2026-10-20 10:11:12", cves = [], packages }) => `  <update from="packager@example.org" status="final" type="${type}" version="3">
    <id>${id}</id>
    <title>${escape(title)}</title>
    <issued date="${issued}"/>
    <updated date="2026-11-01 00:00:00"/>
    <rights>Copyright</rights>
${severity === undefined ? "" : `    <severity>${severity}</severity>\n`}    <summary>An update &amp; more</summary>
    <description><![CDATA[For more details <see> the page]]></description>
    <references>
${[...cves.map((cve) => ({ id: cve, type: "cve" })), { id, type: "self" }].map((one) => `      <reference href="https://example.org/${one.id}" id="${one.id}" type="${one.type}" title="${one.id}"/>\n`).join("")}    </references>
    <pkglist>
      <collection short="example-9">
        <name>example-9</name>
${packages.map((text) => {
    const [name, version, release, arch] = text.split(" ");
    return `        <package name="${name!}" version="${version!}" release="${release!}" epoch="0" arch="${arch!}" src="${name!}-${version!}-${release!}.src.rpm">\n          <filename>${name!}-${version!}-${release!}.${arch!}.rpm</filename>\n          <sum type="sha256">${"0".repeat(64)}</sum>\n          <reboot_suggested>True</reboot_suggested>\n        </package>\n`;
  }).join("")}      </collection>
    </pkglist>
  </update>\n`).join("")}</updates>\n`;
}

/** Files of `repodata/` by name: made by createrepo_c and modifyrepo_c. */
export function repodata(xml: string | undefined, compress: "gz" | "xz" | "bz2" = "gz"): ReadonlyMap<string, Buffer> {
  const directory = mkdtempSync(join(tmpdir(), "imgtask-repodata-"));
  try {
    mkdirSync(join(directory, "repo"));
    execFileSync("createrepo_c", ["--quiet", join(directory, "repo")]);
    if (xml !== undefined) {
      writeFileSync(join(directory, "updateinfo.xml"), xml);
      execFileSync("modifyrepo_c", ["--compress", `--compress-type=${compress}`, join(directory, "updateinfo.xml"), join(directory, "repo/repodata")], { stdio: "ignore" });
    }
    const below = join(directory, "repo/repodata");
    return new Map(readdirSync(below).map((name) => [name, readFileSync(join(below, name))]));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `InRelease`'s text and `Packages.xz` of a security archive. */
export function securityArchive(suite: string, packages: readonly { readonly name: string; readonly version: string; readonly source?: string }[]): { readonly release: string; readonly index: Buffer } {
  const plain = Buffer.from(packages.map(({ name, version, source }) => `Package: ${name}\n${source === undefined ? "" : `Source: ${source}\n`}Version: ${version}\nArchitecture: amd64\nFilename: pool/${name}.deb\nSize: 1\nSHA256: ${"0".repeat(64)}\n`).join("\n"));
  const index = execFileSync("xz", ["-c"], { input: plain });
  const line = (bytes: Buffer, name: string): string => ` ${createHash("sha256").update(bytes).digest("hex")} ${bytes.length} main/binary-amd64/${name}\n`;
  const date = (offset: number): string => new Date(Date.now() + offset).toUTCString().replace("GMT", "UTC");
  return {
    release: `Origin: Debian\nLabel: Debian-Security\nSuite: ${suite}\nCodename: ${suite}\nDate: ${date(-3_600_000)}\nValid-Until: ${date(6 * 86_400_000)}\nArchitectures: amd64\nComponents: main\nSHA256:\n${line(plain, "Packages")}${line(index, "Packages.xz")}`,
    index,
  };
}

/** An ISO image with empty files of these paths, made at a time: `2026-09-01`. */
export function imageWith(path: string, files: Readonly<Record<string, string>>, day = "2026-09-01"): void {
  const directory = mkdtempSync(join(tmpdir(), "imgtask-image-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(directory, name, ".."), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    execFileSync("xorriso", ["-outdev", `stdio:${path}`, "-volume_date", "c", `${day.replaceAll("-", "")}12000000`, "-joliet", "on", "-map", directory, "/", "-commit"], { stdio: "ignore" });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
