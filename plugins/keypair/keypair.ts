/**
 * `keypair()`: an SSH key pair of the project's own, for machines that people or tests log in to.
 * The private key stays below `.imgtask/keys` and never becomes an output.
 * @module
 */
import { chmodSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { checkCall, fit, type Fits, output, type OutputSpec, type Target, target, tool } from "../../lib/mod.ts";

// ssh-keygen tells no version; ssh comes from the same package and does.
const ssh = tool("ssh", { versionArgs: ["-V"], packages: { apt: "openssh-client", dnf: "openssh-clients" } });

/** What `keypair()` takes beside the name. */
export interface KeypairOptions {
  /** Comment at the end of the public key. @default the name */
  readonly comment?: string;
}

const fits: Fits<KeypairOptions> = { comment: fit.text };

/** An SSH key pair: its output is the public key. */
export type Keypair<Name extends string = string> = Target<`keypair:${Name}`, { readonly out: OutputSpec<"ssh public key"> }> & {
  /** Path of the private key, relative to the directory of the imagefile. */
  readonly identity: string;
};

/**
 * Declares an Ed25519 key pair. It is made once and kept: the private key at `.imgtask/keys/NAME` (mode 0600),
 * the public one as output. Delete the private key and run again to get a new pair.
 *
 * @example
 * ```ts
 * const key = keypair("lab");
 * const lab = machine({ hostname: "lab", users: [{ name: "ci", sshKeys: [key] }] });
 * // ssh -i .imgtask/keys/lab ci@…
 * ```
 */
export function keypair<const Name extends string>(name: Name, options: KeypairOptions = {}): Keypair<Name> {
  checkCall("keypair", name, options, fits);
  const identity = `.imgtask/keys/${name}`;
  const made = target(`keypair:${name}`, {
    description: "SSH key pair of this project",
    params: { identity, comment: options.comment ?? name },
    tools: [ssh, tool("install", { packages: { apt: "coreutils", dnf: "coreutils" } })],
    outputs: { out: output("file", "ssh public key") },
    untracked: { writes: [".imgtask/keys"] },
    keeps: [identity],
    module: import.meta.url,
    async run({ params, outputs, project, tmp, exec, log }) {
      const file = join(project, params.identity);
      const directory = join(file, "..");
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      chmodSync(directory, 0o700);
      if (existsSync(file)) {
        log(`reusing the private key ${params.identity}`);
      } else {
        // Made elsewhere and renamed: an interrupted run leaves no half a key.
        const fresh = join(tmp, "key");
        await exec(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", params.comment, "-f", fresh]);
        const moving = `${file}.new`;
        await exec(["install", "-m", "600", fresh, moving]);
        renameSync(moving, file);
        log(`made a new private key ${params.identity}`);
      }
      chmodSync(file, 0o600);
      const { stdout } = await exec(["ssh-keygen", "-y", "-P", "", "-f", file], { stdout: "capture" });
      // `-y` may or may not print the comment kept in the private key, so it is written by us.
      const [type, key] = stdout.trim().split(/\s+/);
      writeFileSync(outputs.out, `${type} ${key} ${params.comment}\n`, { mode: 0o644 });
    },
  });
  return Object.freeze({ ...made, identity });
}
