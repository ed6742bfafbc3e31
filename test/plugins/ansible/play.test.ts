/**
 * Real playbooks of ansible-core over the chroot connection on a small Debian root: what they change, equal bytes, what
 * they leave behind, and failures by name.
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { debian } from "../../../distros/debian.ts";
import { type AptDistro, defineDistro, machine, secret, source } from "../../../lib/mod.ts";
import { ansible, type AnsibleOptions } from "../../../plugins/ansible/ansible.ts";
import { rootfs } from "../../../plugins/rootfs/rootfs.ts";
import { type RecipeRun, runRecipe } from "../../rig/recipe.ts";

const small = defineDistro<AptDistro<"small", "bookworm", "x86_64">>({
  ...debian,
  name: "small",
  architectures: { x86_64: "amd64" },
  releases: { bookworm: debian.releases.bookworm },
  bootPackages: () => [],
  installer: () => {
    throw new Error("none");
  },
});
const base = mkdtempSync(join(tmpdir(), "imgtask-ansible-"));
const from = rootfs("small", { distro: small, release: "bookworm", arch: "x86_64", machine: machine({ hostname: "lab", packages: ["python3"] }) });
let root: RecipeRun | undefined;

const site = `- hosts: web
  gather_facts: true
  roles: [app]
  tasks:
    - name: make the account
      ansible.builtin.user: { name: web, uid: 1700, password: "*", shell: /bin/sh }
    - name: allow its port
      ansible.builtin.lineinfile: { path: /etc/login.defs, line: "# {{ service }} {{ listen }}/tcp" }
    - name: keep the token
      ansible.builtin.copy: { dest: /etc/token, content: "{{ token }}", mode: "0600", owner: web }
      no_log: true
    - name: look at the network
      ansible.builtin.command: cat /proc/net/dev
      register: devices
      changed_when: false
    - name: no network
      ansible.builtin.assert: { that: "devices.stdout_lines | length == 3" }
    - name: no service starts
      ansible.builtin.command: /usr/sbin/policy-rc.d
      register: policy
      failed_when: policy.rc != 101
`;

before(async () => {
  const files: Readonly<Record<string, string>> = {
    "site.yml": site,
    "roles/app/tasks/main.yml": `- name: configure
  ansible.builtin.template: { src: app.conf.j2, dest: /etc/app.conf, mode: "0640" }
  notify: note
`,
    "roles/app/templates/app.conf.j2": "# {{ ansible_managed }}\n{{ inventory_hostname }} {{ ansible_distribution }} {{ list | join(',') }}\n",
    "roles/app/handlers/main.yml": "- name: note\n  ansible.builtin.file: { path: /etc/app.noted, state: touch, mode: \"0644\" }\n",
    "fail.yml": "- hosts: all\n  tasks:\n    - name: passes over\n      ansible.builtin.fail: { msg: not this }\n      ignore_errors: true\n    - name: breaks on purpose\n      ansible.builtin.fail: { msg: 'no room for \"it\"' }\n",
    "loop.yml": "- hosts: all\n  tasks:\n    - name: each\n      ansible.builtin.command: ls /none-{{ item }}\n      loop: [a]\n",
    "bad.yml": "- hosts: all\n  tasks:\n    - no.such.module: {}\n",
    "nobody.yml": "- hosts: elsewhere\n  tasks: []\n",
    "outside.yml": "- hosts: all\n  tasks:\n    - name: reads beside it\n      ansible.builtin.copy: { src: site.yml, dest: /etc/x }\n",
    "again.yml": "- hosts: all\n  gather_facts: false\n  tasks:\n    - name: read\n      ansible.builtin.command: cat /etc/app.conf\n      register: found\n    - name: the first playbook was here\n      ansible.builtin.assert: { that: \"'Debian' in found.stdout\" }\n",
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(base, path, ".."), { recursive: true });
    writeFileSync(join(base, path), text);
  }
  root = await runRecipe("rootfs:small");
});
after(() => {
  root?.dispose();
  rmSync(base, { recursive: true, force: true });
});

const token = "t0ken-that-nobody-sees";
const full: Omit<AnsibleOptions<"x86_64">, "from" | "playbook"> = {
  roles: source("roles"),
  groups: ["web"],
  variables: { service: "app", listen: 8080, list: ["ä", "b c"] },
  secrets: { token: secret.env("TOKEN") },
};

async function play(file: string, options: Omit<AnsibleOptions<"x86_64">, "from" | "playbook"> = {}, tar: string = root!.outputs["out"]!): Promise<RecipeRun> {
  ansible("lab", { from, playbook: source(file), ...options });
  return await runRecipe(
    "ansible:lab",
    { "inputs.rootfs": tar, "inputs.playbook": join(base, file), ...(options.roles === undefined ? {} : { "inputs.roles": join(base, "roles") }) },
    { secrets: { token } },
  );
}

function tar(...args: readonly string[]): string {
  const result = spawnSync("tar", args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8", TZ: "UTC" }, maxBuffer: 64 * 2 ** 20 });
  assert.equal(result.status, 0, result.stderr);
  return result.stdout;
}
const digest = (file: string): string => createHash("sha256").update(readFileSync(file)).digest("hex");

/** Lines of two texts that are in one only. */
function apart(one: string, other: string): readonly string[] {
  const [left, right] = [new Set(one.split("\n")), new Set(other.split("\n"))];
  return [...[...left].filter((line) => !right.has(line)), ...[...right].filter((line) => !left.has(line))];
}

test("a playbook with a role changes what it says and nothing else; twice the same bytes; the next one sees it", async (t) => {
  const homes = ["/root/.ansible", "/root/.ansible.cfg"].map((path) => existsSync(path));
  const [one, two] = [await play("site.yml", full), await play("site.yml", full)];
  try {
    const out = one.outputs["out"]!;
    assert.equal(digest(two.outputs["out"]!), digest(out));
    const text = (path: string): string => tar("-xOf", out, `.${path}`);
    assert.match(text("/etc/app.conf"), /^# Ansible managed\nlab Debian ä,b c\n$/);
    assert.match(text("/etc/passwd"), /^web:x:1700:1700::\/home\/web:\/bin\/sh$/m);
    assert.match(text("/etc/shadow"), /^web:\*:19675:/m, "the day of the epoch, not of the run");
    assert.match(text("/etc/login.defs"), /\n# app 8080\/tcp\n$/);
    assert.equal(text("/etc/token"), token);
    const names = (file: string): string => tar("--list", "--file", file);
    const paths = apart(names(root!.outputs["out"]!), names(out)).filter((path) => !path.startsWith("./dev/") && path !== "./etc/.pwd.lock").sort();
    assert.deepEqual(paths, ["./etc/app.conf", "./etc/app.noted", "./etc/token", "./home/web/", ...paths.filter((path) => path.startsWith("./home/web/."))]);
    assert.match(tar("--list", "--verbose", "--numeric-owner", "--file", out, "./etc/token", "./etc/app.conf"), /^-rw-r----- 0\/0 +\d+ 2023-11-14 22:13 \.\/etc\/app\.conf\n-rw------- 1700\/0 +\d+ 2023-11-14 22:13 \.\/etc\/token\n$/m);
    assert.ok(!one.log().includes(token));
    assert.match(one.log(), /TASK \[app : configure\]/);
    assert.deepEqual(["/root/.ansible", "/root/.ansible.cfg"].map((path) => existsSync(path)), homes, "nothing is left on the host");
    t.diagnostic(`${statMiB(out)} MiB, ${paths.length} new paths`);
    (await play("again.yml", {}, out)).dispose();
  } finally {
    one.dispose();
    two.dispose();
  }
});

function statMiB(file: string): number {
  return Math.round(readFileSync(file).length / 2 ** 20);
}

const failing: readonly (readonly [string, string, RegExp, RegExp])[] = [
  ["fail.yml", "IMG3640", /^The task "breaks on purpose" of the playbook "fail\.yml" failed$/, /^no room for "it"$/],
  ["loop.yml", "IMG3640", /^The task "each"/, /none-a/],
  ["outside.yml", "IMG3640", /^The task "reads beside it"/, /site\.yml/],
  ["bad.yml", "IMG3642", /"bad\.yml"/, /no\.such\.module/],
  ["nobody.yml", "IMG3643", /"nobody\.yml" is for no host/, /no hosts matched/],
];
for (const [file, code, message, found] of failing) {
  test(`${file} ends with ${code}, and says why`, async () => {
    const original = console.error;
    console.error = () => {};
    try {
      await assert.rejects(play(file), (error: unknown) => {
        const told = error as { code: string; message: string; found?: string };
        assert.equal(told.code, code, told.message);
        assert.match(told.message, message);
        assert.match(told.found ?? "", found);
        return true;
      });
    } finally {
      console.error = original;
    }
  });
}

test("a root file system without Python is refused", async () => {
  const original = console.error;
  console.error = () => {};
  const empty = join(base, "empty.tar");
  mkdirSync(join(base, "empty"));
  tar("-cf", empty, "-C", join(base, "empty"), ".");
  try {
    await assert.rejects(play("again.yml", {}, empty), { code: "IMG3641", hint: /"python3"/ });
  } finally {
    console.error = original;
  }
});
