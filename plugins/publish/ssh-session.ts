/**
 * Commands on another host by OpenSSH: its host key pinned, the private key in an agent of its own, nothing asked.
 * Knows nothing of what is published.
 * @module
 */
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fit, type Fits, type PublishContext, type Secret, type Source } from "../../lib/mod.ts";
import { type Answer, type AnswerOptions, answerTo } from "./answer.ts";
import { badOption, credentialsRefused, missingThere, placeFull, said, strangerAt, unexpectedAnswer, unreachable, writingDenied } from "./failure.ts";

/** Where a host is, how it is known, and as whom to go there. */
export interface SshHost {
  /** Name or address. */
  readonly host: string;
  /** @default the user that runs imgtask */
  readonly user?: string;
  /** @default 22 */
  readonly port?: number;
  /**
   * The host's public keys, as lines of a `known_hosts` file, or a file with such lines. A host with another key is
   * refused; none is ever learnt.
   */
  readonly knownHosts: string | Source;
  /** The private key, without a passphrase: a secret, which stays in memory, or the path of a file. */
  readonly identity: Secret | string;
}

/** Of each option what it is. */
export const hostFits: Fits<SshHost> = {
  host: fit.needed(fit.text),
  user: fit.text,
  port: fit.number,
  knownHosts: fit.needed(fit.either(fit.by("lines of a known_hosts file", fit.text.fits), fit.sourceHandle)),
  identity: fit.needed(fit.either(fit.secretHandle, fit.by("the path of a file", fit.text.fits))),
};

/** @throws {ImgtaskError} IMG2520 for what OpenSSH could take for something else. */
export function checkHost({ host, user, port, knownHosts, identity }: SshHost, publisher: string): void {
  // What begins with "-" would be an option, and its configuration file has quotes and patterns.
  if (typeof host !== "string" || !/^[A-Za-z0-9:][A-Za-z0-9.:_-]*$/.test(host)) throw badOption(publisher, "host", host, "a host name or an address");
  if (user !== undefined && !/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(user)) throw badOption(publisher, "user", user, "the name of a user");
  if (port !== undefined && (!Number.isInteger(port) || port < 1 || port > 65535)) throw badOption(publisher, "port", port, "a whole number from 1 to 65535");
  const lines = typeof knownHosts === "string" ? knownHosts.split("\n").filter((line) => /^[^#\s]\S*\s+\S+/.test(line)) : [knownHosts?.path];
  if (lines.length === 0 || lines[0] === undefined) throw badOption(publisher, "knownHosts", knownHosts, "lines of a known_hosts file (see ssh-keyscan), or source() of such a file");
  if (typeof identity === "string" ? identity === "" || /["\n\0]/.test(identity) : identity?.type !== "secret") {
    throw badOption(publisher, "identity", identity, "a secret that is a private key, or the path of one");
  }
}

/** What leads to the host, as parameters of a target: the place, and nothing of a key. */
export function hostParams({ host, user, port = 22, knownHosts, identity }: SshHost): Readonly<Record<string, string | number | boolean>> {
  return {
    host,
    port,
    ...(user === undefined ? {} : { user }),
    knownHosts: typeof knownHosts === "string" ? knownHosts : knownHosts.path,
    ...(typeof identity === "string" ? { identity } : {}),
  };
}

/** Files of this host that are read to get there: by imgtask, and by the library with which rsync reads its command line. */
export function hostFiles({ knownHosts, identity }: SshHost): readonly string[] {
  return ["/etc/machine-id", "/etc/popt", "/etc/popt.d", ...(typeof knownHosts === "string" ? [] : [knownHosts.path]), ...(typeof identity === "string" ? [identity] : [])];
}

/** The key is read from the environment, which only this user can see; it is in no file and no command line. */
const withAgent = 'printf "%s\\n" "$IMGTASK_SSH_KEY" | ssh-add -q - >&2 || exit 81; unset IMGTASK_SSH_KEY; "$@"; code=$?; kill "$SSH_AGENT_PID"; exit $code';
/** A way to a host, for one publication. */
export interface SshSession {
  readonly place: string;
  /** What reaches the host "place": for rsync. */
  readonly command: string;
  /** Runs a command of this host that reaches the other one by `command`. */
  local(argv: readonly string[], options?: AnswerOptions): Promise<Answer>;
  /** Runs a POSIX shell script there, without single quotes: constant text, which is told what to do by its standard input. */
  script(text: string, input: string): Promise<Answer>;
  /** Tells what failed. */
  failure(answer: Answer): Error;
  close(): void;
}

/** Makes ready; goes nowhere yet. */
export function openSession(host: SshHost, context: PublishContext, secretName: string): SshSession {
  const { tmp, project, secrets } = context;
  const id = randomBytes(6).toString("hex");
  const config = join(tmp, `ssh-${id}.config`), known = join(tmp, `ssh-${id}.known`), errors = join(tmp, `ssh-${id}.errors`);
  const key = typeof host.identity === "string" ? undefined : secrets[secretName]!;
  const place = `${host.user === undefined ? "" : `${host.user}@`}${host.host}${host.port === undefined || host.port === 22 ? "" : `:${host.port}`}`;
  writeFileSync(known, typeof host.knownHosts === "string" ? `${host.knownHosts}\n` : readFileSync(resolve(project, host.knownHosts.path)), { mode: 0o600 });
  writeFileSync(config, [
    `HostName ${host.host}`,
    `Port ${host.port ?? 22}`,
    ...(host.user === undefined ? [] : [`User ${host.user}`]),
    `UserKnownHostsFile "${known}"`,
    "GlobalKnownHostsFile /dev/null",
    "StrictHostKeyChecking yes",
    "UpdateHostKeys no",
    "VerifyHostKeyDNS no",
    "BatchMode yes",
    "PreferredAuthentications publickey",
    ...(typeof host.identity === "string" ? [`IdentityFile "${resolve(project, host.identity)}"`, "IdentitiesOnly yes", "IdentityAgent none"] : ["IdentityFile none"]),
    "ForwardAgent no",
    "ClearAllForwardings yes",
    "PermitLocalCommand no",
    "ControlPath none",
    "ConnectTimeout 30",
    "ServerAliveInterval 15",
    "ServerAliveCountMax 4",
    "LogLevel ERROR",
    "",
  ].join("\n"), { mode: 0o600 });
  const local: SshSession["local"] = async (argv, options = {}) => {
    // A name without a directory: that of a socket may have a hundred characters. Commands run in the scratch directory.
    const socket = `agent-${randomBytes(4).toString("hex")}`;
    // With a home of its own: rsync would take options from the user's.
    const answer = await answerTo(context, argv, errors, { ...options, env: { ...options.env, HOME: tmp, ...(key === undefined ? {} : { IMGTASK_SSH_KEY: key }) } }, (inner) =>
      key === undefined ? inner : ["ssh-agent", "-a", socket, "sh", "-c", withAgent, "sh", ...inner]);
    rmSync(join(tmp, socket), { force: true });
    return answer;
  };
  return {
    place,
    command: `ssh -F ${config}`,
    local,
    script: async (text, input) => await local(["ssh", "-F", config, "-T", "--", "place", `exec sh -c '${text}'`], { input }),
    failure: (answer) => failureOf(answer, place),
    close: () => [config, known, errors].forEach((file) => rmSync(file, { force: true })),
  };
}

function failureOf({ code, stdout, stderr }: Answer, place: string): Error {
  const text = `${stderr}\n${stdout}`;
  const found = said(stderr === "" ? stdout : stderr);
  if (/Host key verification failed|REMOTE HOST IDENTIFICATION|No \S+ host key is known/.test(text)) {
    return strangerAt(place, { expected: "a key of `knownHosts`", found, hint: "Find out from its owner whether its key was changed, before you pin another one" });
  }
  if (code === 81) return credentialsRefused(place, { expected: "a private key in OpenSSH's format without a passphrase", found: "ssh-add does not read it", hint: "Is the secret the whole file, with all its lines?" });
  if (/Permission denied \(|Too many authentication failures|Load key .*:/.test(text)) {
    return credentialsRefused(place, { found, hint: "Is the public key in ~/.ssh/authorized_keys of that user there?" });
  }
  if (/No space left|[Qq]uota exceeded|File too large/.test(text)) return placeFull(place, { found, hint: "Make room there, then run it again: what arrived is not sent again" });
  if (code === 91 || /Permission denied|Read-only file system|Operation not permitted|Not a directory|cannot overwrite|Is a directory/.test(text)) {
    return writingDenied(place, { found, hint: "The user needs to be able to write in the directory that is published to" });
  }
  if (/not found|No such file or directory/.test(text) && code === 127) return missingThere(place, "a program", { expected: "sh, rsync, sha256sum, mv, find", found });
  if (code === 255 || /onnection (?:refused|reset|closed|timed out)|unexpectedly closed|timeout|resolve hostname|No route/.test(text)) return unreachable(place, { found });
  return unexpectedAnswer(place, { found: `${found} (exit code ${code})` });
}
