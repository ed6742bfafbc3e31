/**
 * A password that a secret holds, on its way to installation media of every answer format: its hash arrives, itself it
 * does not, by whatever other way the imagefile would bring it there.
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { TestProject } from "../rig/project.ts";

const password = "Tr0ub4dor-und-3";

const imagefile = `import { customize, download, machine, secret, seed, source, verify } from "imgtask";
import { kali } from "imgtask/distros/kali";
import { rocky } from "imgtask/distros/rocky";
import { ubuntu } from "imgtask/distros/ubuntu";
const of = (distro, options) => verify(options.release, { media: download(options.release, distro.installer({ arch: "x86_64", ...options })), trust: distro.keys });
const media = { ubuntu: of(ubuntu, { release: "24.04" }), rocky: of(rocky, { release: "9", edition: "boot" }), kali: of(kali, { release: "rolling", edition: "netinst" }) };
const ways = {
  none: {},
  file: { files: [{ path: "/etc/app.conf", content: source("leak.txt") }] },
  overlay: { overlay: source("leak") },
  late: { late: [{ script: source("leak.txt") }] },
  key: { users: [{ name: "second", sshKeys: [source("leak.pub")] }] },
};
for (const [way, { users = [], ...more }] of Object.entries(ways)) {
  const lab = machine({ hostname: "lab", ...more, users: [{ name: "devops", sudo: "password", password: secret.file("password") }, ...users] });
  for (const [name, from] of Object.entries(media)) customize(name + "-" + way, { media: from, machine: lab, ...(name === "kali" ? { mirror: "http://mirror.example.org/kali" } : {}) });
  seed("seed-" + way, { machine: lab });
}
`;

const files = {
  "imagefile.ts": imagefile,
  password: `${password}\n`,
  "leak.txt": `#!/bin/sh\nexec login ${password}\n`,
  "leak/etc/app.conf": `password=${password}\n`,
  "leak.pub": `ssh-ed25519 ${"A".repeat(60)} ${password}\n`,
};

const targets = (way: string): readonly string[] => [...["ubuntu", "rocky", "kali"].map((name) => `customize:${name}-${way}`), `seed:seed-${way}`];

function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test("a plain password gets on no installation medium; its hash does", { timeout: 300_000 }, async (t) => {
  using project = new TestProject(files);
  const run = (way: string) => project.start(["run", "--json", "-k", ...targets(way)], { timeout: 240_000 }).finished;
  const clean = await run("none");
  assert.equal(clean.code, 0, clean.stderr);
  // The search itself finds what is there.
  const hashed = filesBelow(project.path(".imgtask/store")).filter((file) => /devops:\$6\$|hashed_passwd.*\$6\$/.test(readFileSync(file, "latin1")));
  assert.equal(hashed.length, 3, "an initial file system, a seed, and what two media have in common");
  let refused = 0;
  for (const way of ["file", "overlay", "late", "key"]) {
    const { code, stdout, stderr } = await run(way);
    assert.notEqual(code, 0, way);
    for (const target of targets(way)) {
      const failed = stdout.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as { type: string; target?: string; error?: { code?: string } }).find((event) => event.target === target && event.error !== undefined);
      assert.equal(failed?.error?.code, "IMG3051", `${target}: ${stdout.slice(-1500)}${stderr.slice(-1500)}`);
      refused++;
    }
  }
  for (const file of [...filesBelow(project.path(".imgtask")), ...filesBelow(project.path("artifacts"))]) {
    assert.equal(readFileSync(file).includes(password), false, file);
  }
  t.diagnostic(`${targets("none").length} media with the hash, ${refused} of ${refused} with the password refused, 0 files that hold it`);
});

test("a handle to a secret is no content of a file", async () => {
  using project = new TestProject({
    "imagefile.ts": `import { machine, secret } from "imgtask";\nmachine({ hostname: "lab", files: [{ path: "/etc/token", content: secret.file("password") as never }] });\n`,
    password: `${password}\n`,
  });
  const { code, stderr } = await project.imgtask("list");
  assert.equal(code, 2, stderr);
  assert.match(stderr, /IMG2101.*content of \\?"\/etc\/token/);
  assert.doesNotMatch(stderr, new RegExp(password));
});
