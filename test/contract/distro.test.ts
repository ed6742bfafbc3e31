/**
 * What every distribution in `distros/` promises. A new one is covered by being there.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { type Distro, machine, packageFile } from "../../lib/mod.ts";
import { archOf } from "../../plugins/arch/mod.ts";
import { checkMirror } from "../../plugins/download/mirror.ts";
import { isPlainPath } from "../../plugins/download/release.ts";

const directory = packageFile("distros");
const names = readdirSync(directory).filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3));
const packageName = /^[a-z0-9][a-z0-9.+-]+$/;
const lab = machine({ hostname: "lab" });
const quiet = machine({ hostname: "lab", network: "none" });

assert.ok(names.length > 0);
for (const name of names) {
  const exported = (await import(pathToFileURL(join(directory, `${name}.ts`)).href)) as Record<string, Distro>;
  const distro = exported[name]!;
  describe(`distribution ${name}`, () => {
    it("is exported under its own name, frozen", () => {
      assert.equal(distro.name, name);
      assert.ok(Object.isFrozen(distro));
      assert.ok(distro.title.length > 0);
    });

    it("has releases with suites, the release itself first", () => {
      assert.ok(Object.keys(distro.releases).length > 0);
      for (const [release, { version, suites }] of Object.entries(distro.releases)) {
        assert.match(version, /^\d+(\.\d+)*$/, release);
        assert.equal(suites[0]?.suite, release);
        assert.equal(suites[0]?.archive, undefined, "the release is in the main archive");
        for (const { suite, components } of suites) {
          assert.ok(isPlainPath(suite), suite);
          assert.ok(components.length > 0);
        }
      }
    });

    it("has usable archives, each with a variable and a source of the host's of its own", () => {
      const archives = new Map([distro.archive, ...Object.values(distro.releases).flatMap(({ suites }) => suites.flatMap(({ archive }) => archive ?? []))].map((one) => [JSON.stringify(one), one]));
      const all = [...archives.values()];
      for (const archive of all) {
        assert.match(archive.mirrorEnv, /^IMGTASK_[A-Z0-9_]+_MIRROR$/);
        assert.equal(checkMirror(archive.defaultMirror, name), archive.defaultMirror, "no slash at the end");
        assert.ok(archive.origin.length > 0);
      }
      assert.equal(new Set(all.map((one) => one.mirrorEnv)).size, all.length);
      assert.equal(new Set(all.map((one) => `${one.origin}/${one.label}`)).size, all.length);
    });

    it("has architectures that plugins/arch knows", () => {
      assert.ok(Object.keys(distro.architectures).length > 0);
      for (const [arch, own] of Object.entries(distro.architectures)) {
        assert.equal(archOf(arch).name, arch);
        assert.match(own, /^[a-z0-9_]+$/);
      }
    });

    it("pins exactly the keys of its keyring, and all of them are in force", () => {
      const home = mkdtempSync(join(tmpdir(), "imgtask-contract-"));
      try {
        const listed = execFileSync("gpg", ["--homedir", home, "--batch", "--show-keys", "--with-colons", packageFile(distro.keys.file)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
        const found: string[] = [];
        let primary = false;
        for (const line of listed.split("\n")) {
          const fields = line.split(":");
          if (fields[0] === "pub") {
            primary = true;
            assert.ok(!["r", "e", "d", "i"].includes(fields[1]!), `${fields[4]} is revoked or expired`);
            assert.ok(fields[6] === "" || Number(fields[6]) > Date.now() / 1000, `${fields[4]} has expired`);
            assert.ok(fields[3] !== "1" || Number(fields[2]) >= 2048, `${fields[4]} is too short`);
          } else if (fields[0] === "fpr" && primary) {
            found.push(fields[9]!);
            primary = false;
          }
        }
        for (const fingerprint of distro.keys.fingerprints) assert.match(fingerprint, /^([0-9A-F]{40}|[0-9A-F]{64})$/);
        assert.deepEqual([...distro.keys.fingerprints].sort(), found.sort());
        assert.equal(new Set(found).size, found.length);
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    });

    it("keeps its keys in vendor/, with a row in the ledger", () => {
      assert.match(distro.keys.file, /^vendor\//);
      assert.ok(readFileSync(packageFile("vendor/README.md"), "utf8").includes(`| \`${distro.keys.file.slice("vendor/".length)}\` |`));
    });

    it("names boot packages for every architecture", () => {
      for (const arch of Object.keys(distro.architectures)) {
        const packages = distro.bootPackages(arch, lab);
        assert.ok(packages.length > 0);
        for (const one of [...packages, ...distro.bootPackages(arch, quiet)]) assert.match(one, packageName);
        assert.equal(new Set(packages).size, packages.length);
      }
    });

    it("has installer media for every release and architecture, each with its own id", () => {
      const ids = new Set<string>();
      for (const release of Object.keys(distro.releases)) {
        for (const arch of Object.keys(distro.architectures)) {
          const media = distro.installer({ release, arch });
          assert.equal(media.release, release);
          assert.equal(media.arch, arch);
          assert.match(media.id, /^[a-z0-9][a-z0-9.-]*$/);
          assert.ok(!ids.has(media.id), media.id);
          ids.add(media.id);
          assert.equal(media.package.architecture, distro.architectures[arch]);
          assert.match(media.package.name, packageName);
          assert.ok(isPlainPath(media.files.kernel) && isPlainPath(media.files.initrd));
          assert.deepEqual(distro.installer({ release, arch }), media, "the same each time");
          assert.deepEqual(JSON.parse(JSON.stringify(media)), media, "plain data");
        }
      }
    });

    it("refuses an architecture and a release that it has not, by the name that was asked for", () => {
      const release = Object.keys(distro.releases)[0]!, arch = Object.keys(distro.architectures)[0]!;
      for (const asked of ["vax", "toString", "__proto__"]) {
        const message = new RegExp(`^${distro.title.replace(/[^A-Za-z0-9]/g, "\\$&")} has no architecture "${asked}"$`);
        assert.throws(() => distro.installer({ release, arch: asked }), { code: "IMG2103", exitCode: 2, message });
        assert.throws(() => distro.bootPackages(asked, lab), { code: "IMG2103", exitCode: 2, message });
        assert.throws(() => distro.installer({ release: asked, arch }), { code: "IMG2102", exitCode: 2, found: `"${asked}"`, expected: new RegExp(release) });
      }
    });
  });
}
