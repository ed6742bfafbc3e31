/**
 * Versions of packages are compared as dpkg and rpm do; of dpkg the program itself is asked.
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { compareDebVersions, compareRpmVersions } from "../../../plugins/notices/version.ts";
import { randomFrom } from "../../rig/random.ts";

test("Debian's versions, as dpkg compares them", (t) => {
  const rng = randomFrom(20261121), pieces = ["1", "2", "10", "010", "~", "+", ".", "-", "a", "b", "rc", "deb12u1", "~bpo", "0", "+b1", "dfsg"];
  const version = (): string => `${rng() < 0.2 ? `${Math.floor(rng() * 3)}:` : ""}1${Array.from({ length: Math.floor(rng() * 6) }, () => pieces[Math.floor(rng() * pieces.length)]!).join("")}`.replace(/-+$/, "");
  const pairs = Array.from({ length: 300 }, (): readonly [string, string] => [version(), version()]);
  pairs.push(["1.0~rc1", "1.0"], ["1:0.9", "2.0"], ["1.0-1", "1.0-1+deb12u1"], ["3.0.16-1~deb12u1", "3.0.16-1"], ["1.0", "1.0-0"]);
  // One shell for all: a process each would take seconds.
  const script = pairs.map(([a, b]) => `if dpkg --compare-versions '${a}' lt '${b}'; then echo -1; elif dpkg --compare-versions '${a}' gt '${b}'; then echo 1; else echo 0; fi`).join("\n");
  const expected = execFileSync("sh", ["-s"], { input: script, stdio: ["pipe", "pipe", "ignore"] }).toString().trim().split("\n").map(Number);
  for (const [index, [a, b]] of pairs.entries()) assert.equal(Math.sign(compareDebVersions(a, b)), expected[index], `${a} and ${b}`);
  t.diagnostic(`${pairs.length} pairs`);
});

test("rpm's versions, as its own tests have them", () => {
  // Source: rpm, tests/rpmvercmp.at.
  const cases: readonly (readonly [string, string, number])[] = [
    ["1.0", "1.0", 0], ["1.0", "2.0", -1], ["2.0.1a", "2.0.1", 1], ["5.5p1", "5.5p2", -1], ["5.5p10", "5.5p1", 1], ["10xyz", "10.1xyz", -1], ["xyz10", "xyz10.1", -1],
    ["xyz.4", "8", -1], ["5.5p2", "5.6p1", -1], ["6.0.rc1", "6.0", 1], ["10b2", "10a1", 1], ["10.0001", "10.1", 0], ["10.0001", "10.0039", -1], ["4.999.9", "5.0", -1],
    ["20101121", "20101122", -1], ["2_0", "2.0", 0], ["a+", "a_", 0], ["1.0~rc1", "1.0", -1], ["1.0~rc1", "1.0~rc2", -1], ["1.0~rc1~git123", "1.0~rc1", -1],
    ["1.0^", "1.0", 1], ["1.0^git1", "1.0^git2", -1], ["1.0^git1", "1.01", -1], ["1.0^20160101", "1.0.1", -1], ["1.0~rc1^git1", "1.0~rc1", 1], ["1.0^git1~pre", "1.0^git1", -1],
  ];
  for (const [a, b, expected] of cases) {
    assert.equal(Math.sign(compareRpmVersions(a, b)), expected, `${a} and ${b}`);
    assert.equal(Math.sign(compareRpmVersions(b, a)), expected === 0 ? 0 : -expected, `${b} and ${a}`);
  }
  assert.ok(compareRpmVersions("3.0.7-24.el9", "3.0.9-1.el9_6") < 0);
});

test("RPM's versions with epochs, as rpm compares them", { skip: spawnSync("rpm", ["--version"]).status === 0 ? false : "no rpm (package rpm)" }, (t) => {
  const rng = randomFrom(20261122), pieces = ["1", "2", "10", "010", "~", "^", "+", ".", "a", "rc", ".el9", ".el9_4", "_", ".module+el9"];
  const part = (): string => `1${Array.from({ length: Math.floor(rng() * 5) }, () => pieces[Math.floor(rng() * pieces.length)]!).join("")}`;
  const version = (): string => `${["", "", "0:", "1:", "2:", "10:"][Math.floor(rng() * 6)]!}${part()}-${part()}`;
  const pairs = Array.from({ length: 400 }, (): readonly [string, string] => [version(), version()]);
  pairs.push(["1:3.0.7-28.el9_4", "3.0.7-28.el9_4"], ["0:3.0.7-1", "3.0.7-1"], ["1:1-1", "2-1"], ["1:1-1", "2:0-1"], ["3.0.7-24.el9", "3.0.9-1.el9_6"]);
  // rpm's own comparison of epoch, version and release, as its macros have it.
  const printed = execFileSync("rpm", ["--eval", `%{lua: ${pairs.map(([a, b]) => `print(rpm.vercmp("${a}", "${b}") .. " ")`).join(" ")}}`]).toString().trim().split(/\s+/).map(Number);
  for (const [index, [a, b]] of pairs.entries()) assert.equal(Math.sign(compareRpmVersions(a, b)), printed[index], `${a} and ${b}`);
  t.diagnostic(`${pairs.length} pairs, ${pairs.filter(([a, b]) => a.includes(":") || b.includes(":")).length} with epochs`);
});
