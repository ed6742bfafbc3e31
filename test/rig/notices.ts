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
  /** Stream of the module whose packages they are: `nodejs:18`. */
  readonly module?: string;
  /** `name [epoch:]version release arch`. */
  readonly packages: readonly string[];
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\"", "&quot;");

/** An `updateinfo.xml`. */
export function updateinfo(updates: readonly Update[]): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n${updates.map(({ id, type = "security", severity, title = `${id} security update`, issued = "2026-10-20 10:11:12", cves = [], module, packages }) => `  <update from="packager@example.org" status="final" type="${type}" version="3">
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
${module === undefined ? "" : `        <module name="${module.split(":")[0]!}" stream="${module.split(":")[1]!}" version="9010020221009220316" context="rhel9" arch="x86_64"/>\n`}${packages.map((text) => {
    const [name, full, release, arch] = text.split(" ");
    const [, epoch = "0", version] = /^(?:(\d+):)?(.+)$/.exec(full!)!;
    return `        <package name="${name!}" version="${version!}" release="${release!}" epoch="${epoch}" arch="${arch!}" src="${name!}-${version!}-${release!}.src.rpm">\n          <filename>${name!}-${version!}-${release!}.${arch!}.rpm</filename>\n          <sum type="sha256">${"0".repeat(64)}</sum>\n          <reboot_suggested>True</reboot_suggested>\n        </package>\n`;
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

/**
 * A repository of real RPM packages, by rpmbuild, createrepo_c and modifyrepo_c: its files by their paths.
 *
 * @param packages `name [epoch:]version release`.
 * @param modules `modules.yaml`. @default none
 */
export function rpmRepository(packages: readonly string[], modules?: string): Readonly<Record<string, Buffer>> {
  const directory = mkdtempSync(join(tmpdir(), "imgtask-rpms-")), repo = join(directory, "repo");
  try {
    mkdirSync(join(repo, "Packages"), { recursive: true });
    for (const [index, text] of packages.entries()) {
      const [name, full, release] = text.split(" "), [, epoch, version] = /^(?:(\d+):)?(.+)$/.exec(full!)!, spec = join(directory, `${index}.spec`);
      writeFileSync(spec, `Name: ${name!}\n${epoch === undefined ? "" : `Epoch: ${epoch}\n`}Version: ${version!}\nRelease: ${release!}\nSummary: A package\nLicense: MIT\nBuildArch: noarch\n%description\nText\n%files\n`);
      execFileSync("rpmbuild", ["-bb", "--quiet", "--define", `_topdir ${join(directory, "top")}`, "--define", `_rpmdir ${join(repo, "Packages")}`, "--define", "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm", spec], { stdio: "ignore" });
    }
    execFileSync("createrepo_c", ["--quiet", repo]);
    if (modules !== undefined) {
      writeFileSync(join(directory, "modules.yaml"), modules);
      execFileSync("modifyrepo_c", ["--mdtype=modules", join(directory, "modules.yaml"), join(repo, "repodata")], { stdio: "ignore" });
    }
    return Object.fromEntries(["Packages", "repodata"].flatMap((below) => readdirSync(join(repo, below)).map((name) => [`${below}/${name}`, readFileSync(join(repo, below, name))])));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** An ISO image with files of these paths, made at a time: `2026-09-01`. */
export function imageWith(path: string, files: Readonly<Record<string, string | Buffer>>, day = "2026-09-01"): void {
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
