/**
 * Comes into a guest by SSH as a user would, from outside, with nothing of the host's own SSH set-up.
 * Knows nothing of what is looked at inside.
 * @module
 */
import { chmodSync, copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Argv, ImgtaskError, type RunContext } from "../../lib/mod.ts";

/** A way into the guest. */
export interface Door {
  readonly port: number;
  readonly user: string;
  /** A private key that nobody else can read. */
  readonly identity: string;
}

type Context = Pick<RunContext, "exec" | "tmp" | "signal" | "project">;

/** Waits until an SSH server introduces itself: the emulator takes connections long before the guest does. */
export async function banner(port: number, deadline: number, signal: AbortSignal, gone: () => boolean): Promise<string | undefined> {
  while (Date.now() < deadline && !gone()) {
    signal.throwIfAborted();
    const line = await new Promise<string>((done) => {
      const socket = connect(port, "127.0.0.1");
      let text = "";
      socket.setTimeout(Math.max(1, Math.min(10_000, deadline - Date.now())), () => socket.destroy());
      socket.on("data", (data) => {
        text += data.toString("latin1");
        if (text.includes("\n") || text.length > 1000) socket.destroy();
      });
      socket.on("error", () => {});
      socket.on("close", () => done(text));
    });
    const match = /^SSH-[^\r\n]*/m.exec(line);
    if (match !== null) return match[0];
    await sleep(Math.max(0, Math.min(250, deadline - Date.now())), undefined, { signal });
  }
  return undefined;
}

/** A copy of a private key with the mode that ssh insists on, which a checkout does not keep. */
export function borrowKey(identity: string, context: Context): string {
  const from = resolve(context.project, identity);
  if (!existsSync(from)) {
    throw new ImgtaskError("IMG3505", `The private key "${identity}" is missing`, { expected: `a file ${from}`, hint: "The key must exist before the test runs: build the target that makes it, or put it there" });
  }
  const to = join(context.tmp, "identity");
  copyFileSync(from, to);
  chmodSync(to, 0o600);
  return to;
}

/** A path in an option of ssh, where a space ends it and `%` begins a token. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}

function sshArgv(door: Pick<Door, "port" | "user">, tmp: string, options: readonly string[], command: readonly string[]): Argv {
  const common = [
    "BatchMode=yes", "StrictHostKeyChecking=no", `UserKnownHostsFile=${quoted(join(tmp, "known_hosts"))}`, "GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no",
    "ConnectTimeout=60", "ServerAliveInterval=15", "ControlPath=none", "IdentityAgent=none", "GSSAPIAuthentication=no", "LogLevel=INFO",
  ];
  return ["ssh", "-F", "/dev/null", "-T", "-E", join(tmp, "ssh.log"), "-p", String(door.port), "-l", door.user, ...[...common, ...options].flatMap((one) => ["-o", one]), "127.0.0.1", ...command];
}

const anyCode: readonly number[] = Array.from({ length: 256 }, (_, code) => code);

/** Runs ssh and returns what it said itself beside what came from the guest. */
async function ssh(argv: Argv, context: Context, deadline: number, input?: string): Promise<{ readonly code: number; readonly stdout: string; readonly said: string }> {
  const log = join(context.tmp, "ssh.log");
  writeFileSync(log, "");
  const options = { stdout: "capture", ok: anyCode, timeout: Math.max(1000, deadline - Date.now()), ...(input === undefined ? {} : { input }) } as const;
  const result = await context.exec(argv, options).catch((error: unknown) => {
    // Too long: the guest did not answer, which is a finding and not a fault of the host.
    if (error instanceof ImgtaskError && error.code === "IMG3003") return { code: 255, stdout: "" };
    throw error;
  });
  const said = readFileSync(log, "utf8").split("\n").filter((line) => line.trim() !== "" && !line.startsWith("Warning: Permanently added")).join("\n");
  rmSync(log, { force: true });
  return { ...result, said: said || (Date.now() >= deadline ? "no answer within the time limit" : "") };
}

/**
 * Runs a POSIX shell script in the guest, in one session.
 *
 * @returns its output, or why there is none.
 */
export async function runScript(door: Door, script: string, context: Context, deadline: number): Promise<{ readonly stdout: string } | { readonly refused: string }> {
  const options = ["IdentitiesOnly=yes", `IdentityFile=${quoted(door.identity)}`, "PreferredAuthentications=publickey"];
  for (;;) {
    const { code, stdout, said } = await ssh(sshArgv(door, context.tmp, options, ["sh", "-s"]), context, deadline, script);
    if (code !== 255) return { stdout };
    // While a guest boots it sends users away (pam_nologin) or drops them; a refused key stays refused.
    if (said.includes("Permission denied") || Date.now() + 5000 > deadline) return { refused: said || `exit code ${code}` };
    await sleep(3000, undefined, { signal: context.signal });
  }
}

/** The ways of logging in that the server offers a user: `publickey`, `password` … */
export async function offeredMethods(door: Pick<Door, "port" | "user">, context: Context, deadline: number): Promise<{ readonly methods: readonly string[] } | { readonly unknown: string }> {
  const options = ["PubkeyAuthentication=no", "PreferredAuthentications=password,keyboard-interactive"];
  const { code, said } = await ssh(sshArgv(door, context.tmp, options, ["true"]), context, deadline);
  const match = /Permission denied \(([a-z0-9,@.-]*)\)/.exec(said);
  if (match !== null) return { methods: match[1]!.split(",") };
  return code === 0 ? { methods: ["none"] } : { unknown: said || `exit code ${code}` };
}
