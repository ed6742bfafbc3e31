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
import { type AptDistro, type Distro, machine, type Media, packageFile } from "../../lib/mod.ts";
import { archOf } from "../../plugins/arch/mod.ts";
import { checkMirror } from "../../plugins/download/mirror.ts";
import { versionIn } from "../../plugins/download/list.ts";
import { isPlainPath } from "../../plugins/download/release.ts";
import { carriedKeys, selectKeys } from "../../plugins/verify/keyring.ts";

const directory = packageFile("distros");
const names = readdirSync(directory).filter((file) => file.endsWith(".ts")).map((file) => file.slice(0, -3));
const packageName = /^[a-z0-9][a-z0-9.+-]+$/;
const lab = machine({ hostname: "lab" });
const quiet = machine({ hostname: "lab", network: "none" });
const sha256 = "0".repeat(64);

/** Media by any options; what some distributions must be told beside is always given. */
function mediaOf(distro: Distro, options: { readonly release: string; readonly arch: string; readonly edition?: string }): Media {
  const given = Object.entries({ sha256, from: { file: "image.iso" } }).filter(([name]) => distro.installerOptions?.[name]?.needed === true);
  return (distro.installer as (options: unknown) => Media)({ ...Object.fromEntries(given), ...options });
}

assert.ok(names.length > 0);
for (const name of names) {
  const exported = (await import(pathToFileURL(join(directory, `${name}.ts`)).href)) as Record<string, Distro>;
  const distro = exported[name.replace(/-[a-z]/g, (part) => part[1]!.toUpperCase())]!;
  describe(`distribution ${name}`, () => {
    it("is exported under its own name, frozen", () => {
      assert.equal(distro.name, name);
      assert.ok(Object.isFrozen(distro));
      assert.ok(distro.title.length > 0);
    });

    it("has releases with a version", () => {
      assert.ok(Object.keys(distro.releases).length > 0);
      for (const [release, { version }] of Object.entries(distro.releases)) assert.match(version, /^(\d+(\.\d+)*|rolling)$/, release);
    });

    if ("archive" in distro) describe("as one that root file systems are built of", () => aptContract(name, distro as AptDistro));

    it("says where security notices of each release are, or that there are none, and media carry it", () => {
      for (const release of Object.keys(distro.releases)) {
        for (const arch of Object.keys(distro.architectures)) {
          const notices = distro.notices!({ release, arch });
          assert.deepEqual(mediaOf(distro, { release, arch }).notices, notices);
          if (notices.format === "none") {
            assert.ok(notices.why.length > 20);
            continue;
          }
          assert.match(notices.env, /^IMGTASK_[A-Z_]+$/);
          assert.match(notices.link, /^https:\/\/[^{}]+\{(?:id|dashed)\}[^{}]*$/);
          for (const url of notices.format === "updateinfo" ? notices.mirrors : [notices.url]) assert.match(url, /^https:\/\//);
          assert.ok(!JSON.stringify(notices).includes("undefined"));
        }
      }
    });

    it("has architectures that plugins/arch knows", () => {
      assert.ok(Object.keys(distro.architectures).length > 0);
      for (const [arch, own] of Object.entries(distro.architectures)) {
        assert.equal(archOf(arch).name, arch);
        assert.match(own, /^[a-z0-9_]+$/);
      }
    });

    it("pins keys by their whole fingerprint, once each, with sensible days", () => {
      const { keys } = distro.keys;
      assert.ok(keys.length > 0);
      for (const { fingerprint, owner, from, until } of keys) {
        assert.match(fingerprint, /^([0-9A-F]{40}|[0-9A-F]{64})$/);
        assert.ok(owner !== undefined && owner.length > 0, `${fingerprint} says whose it is`);
        assert.ok(from === undefined || until === undefined || from < until, fingerprint);
      }
      assert.equal(new Set(keys.map(({ fingerprint }) => fingerprint)).size, keys.length);
    });

    it("carries its keys, or says where they are published and how to name a file", () => {
      const { files, url, env, keys } = distro.keys;
      if (files === undefined) {
        assert.match(url ?? "", /^https:\/\//);
        assert.match(env ?? "", /^IMGTASK_[A-Z0-9_]+_KEYRING$/);
        return;
      }
      const ledger = readFileSync(packageFile("vendor/README.md"), "utf8");
      for (const file of files) {
        assert.match(file, /^vendor\//);
        assert.ok(ledger.includes(`| \`${file.slice("vendor/".length)}\` |`), "a row in the ledger");
      }
      const found = carriedKeys(distro.keys).flatMap((file) => selectKeys(file, keys.map(({ fingerprint }) => fingerprint)).found);
      assert.deepEqual([...found].sort(), keys.map(({ fingerprint }) => fingerprint).sort());
    });

    it("carries no other keys, and all of them are in force", () => {
      const home = mkdtempSync(join(tmpdir(), "imgtask-contract-"));
      try {
        for (const file of distro.keys.files ?? []) {
          const listed = execFileSync("gpg", ["--homedir", home, "--batch", "--show-keys", "--with-colons", packageFile(file)], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
          let primary = false;
          for (const line of listed.split("\n")) {
            const fields = line.split(":");
            if (fields[0] === "pub") {
              primary = true;
              assert.ok(!["r", "e", "d", "i"].includes(fields[1]!), `${fields[4]} is revoked or expired`);
              assert.ok(fields[6] === "" || Number(fields[6]) > Date.now() / 1000, `${fields[4]} has expired`);
              assert.ok(fields[3] !== "1" || Number(fields[2]) >= 2048, `${fields[4]} is too short`);
            } else if (fields[0] === "fpr" && primary) {
              const key = distro.keys.keys.find(({ fingerprint }) => fingerprint === fields[9]);
              assert.ok(key !== undefined, `${fields[9]} is pinned`);
              primary = false;
            }
          }
        }
      } finally {
        rmSync(home, { recursive: true, force: true });
      }
    });

    it("has installer media for every release, architecture and edition, each with its own id", () => {
      const ids = new Set<string>();
      assert.ok(distro.editions.length > 0);
      for (const release of Object.keys(distro.releases)) {
        for (const arch of Object.keys(distro.architectures)) {
          assert.deepEqual(mediaOf(distro, { release, arch }), mediaOf(distro, { release, arch, edition: distro.editions[0]! }), "the first edition is meant where none is named");
          for (const edition of distro.editions) {
            const media = mediaOf(distro, { release, arch, edition });
            assert.equal(media.distro, name);
            assert.equal(media.release, release);
            assert.equal(media.arch, arch);
            assert.match(media.id, /^[a-z0-9][a-z0-9._-]*$/);
            assert.ok(!ids.has(media.id), media.id);
            ids.add(media.id);
            mediaContract(distro, media, edition);
            assert.deepEqual(mediaOf(distro, { release, arch, edition }), media, "the same each time");
            assert.deepEqual(JSON.parse(JSON.stringify(media)), media, "plain data");
          }
        }
      }
    });

    it("refuses an architecture, a release and an edition that it has not, by the name that was asked for", () => {
      const release = Object.keys(distro.releases)[0]!, arch = Object.keys(distro.architectures)[0]!;
      for (const asked of ["vax", "toString", "__proto__"]) {
        const message = new RegExp(`^${distro.title.replace(/[^A-Za-z0-9]/g, "\\$&")} has no architecture "${asked}"$`);
        assert.throws(() => mediaOf(distro, { release, arch: asked }), { code: "IMG2103", exitCode: 2, message });
        if ("archive" in distro) assert.throws(() => (distro as AptDistro).bootPackages(asked, lab, release), { code: "IMG2103", exitCode: 2, message });
        assert.throws(() => mediaOf(distro, { release: asked, arch }), { code: "IMG2102", exitCode: 2, found: `"${asked}"`, expected: new RegExp(release) });
        assert.throws(() => mediaOf(distro, { release, arch, edition: asked }), { code: "IMG2106", exitCode: 2, found: `"${asked}"` });
      }
    });
  });
}

function aptContract(name: string, distro: AptDistro): void {
  it("has suites, the release itself first", () => {
    for (const [release, { suites }] of Object.entries(distro.releases)) {
      assert.ok(suites.length > 0 && suites.every(({ suite }) => suite.startsWith(suites[0]!.suite)), `${release}: the others are named after it`);
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
      for (const mirror of [archive.defaultMirror, ...Object.values(archive.otherMirrors ?? {})]) assert.equal(checkMirror(mirror, name), mirror, "no slash at the end");
      for (const arch of Object.keys(archive.otherMirrors ?? {})) assert.ok(Object.hasOwn(distro.architectures, arch), arch);
      assert.ok(archive.origin.length > 0);
    }
    assert.equal(new Set(all.map((one) => one.mirrorEnv)).size, all.length);
    assert.equal(new Set(all.map((one) => `${one.origin}/${one.label}`)).size, all.length);
  });

  it("names boot packages for every architecture", () => {
    for (const arch of Object.keys(distro.architectures)) {
      for (const release of Object.keys(distro.releases)) {
        const packages = distro.bootPackages(arch, lab, release);
        assert.ok(packages.length > 0);
        for (const one of [...packages, ...distro.bootPackages(arch, quiet, release)]) assert.match(one, packageName);
        assert.equal(new Set(packages).size, packages.length);
      }
    }
  });
}

function mediaContract(distro: Distro, media: Media, edition: string): void {
  if (media.kind === "package") {
    assert.equal(media.package.architecture, distro.architectures[media.arch]);
    assert.match(media.package.name, packageName);
    assert.ok(isPlainPath(media.files.kernel) && isPlainPath(media.files.initrd));
    return;
  }
  assert.equal(media.edition, edition);
  assert.deepEqual(media.keys.keys, distro.keys.keys);
  assert.equal(media.keys.env, distro.keys.env);
  assert.ok(["debian-cd", "casper", "anaconda"].includes(media.layout));
  assert.match(media.image.name, /^[A-Za-z0-9][A-Za-z0-9._{}-]+\.iso$/);
  const { version = "1.2" } = media.image;
  if (media.image.name.includes("{version}")) assert.equal(versionIn(media.image.name.replace("{version}", version), media.image), version);
  const { source } = media;
  if (source.kind === "file") assert.equal(media.sha256, sha256, "nothing else vouches for it");
  if (source.kind !== "mirror") return;
  assert.match(source.env, /^IMGTASK_[A-Z0-9_]+_MIRROR$/);
  assert.ok(source.mirrors.length > 0);
  for (const mirror of source.mirrors) {
    assert.match(mirror, /^https:\/\//);
    assert.equal(checkMirror(mirror, distro.name), mirror, "no slash at the end");
  }
  assert.ok(isPlainPath(source.directory), source.directory);
  assert.ok(isPlainPath(source.list.file), source.list.file);
  const { signature } = source.list;
  if (signature.kind === "detached" || signature.kind === "minisign") assert.ok(isPlainPath(signature.file) && signature.file !== source.list.file);
  if (signature.kind === "none") assert.equal(media.sha256, sha256, "nobody vouches for it but the imagefile");
}
