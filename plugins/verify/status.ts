/**
 * Reads gpgv's status lines (`--status-fd`) and words its refusals. Pure.
 * Exit codes of gpgv do not count: an expired key gives VALIDSIG and exit code 0.
 * @module
 */
import { ExitCode, ImgtaskError, type PinnedKey } from "../../lib/mod.ts";
import { printable } from "../download/mirror.ts";

/** What gpgv says of one signature. */
export interface Block {
  /** User id after GOODSIG. */
  readonly good?: string;
  /** What VALIDSIG says. */
  readonly valid?: { readonly primary: string; readonly time: number; readonly weak: boolean };
  /** BADSIG, EXPSIG, EXPKEYSIG or REVKEYSIG. */
  readonly bad?: "BADSIG" | "EXPSIG" | "EXPKEYSIG" | "REVKEYSIG";
  /** Key id of the signature, as far as known. */
  readonly keyId?: string;
  /** Signed with a digest that is no longer safe. */
  readonly weak?: boolean;
}

/** OpenPGP's numbers of SHA-256, SHA-384, SHA-512, SHA3-256 and SHA3-512. */
const strongDigests = new Set(["8", "9", "10", "12", "14"]);

/** Parses status lines into one block a signature. */
export function parseStatus(text: string): readonly Block[] {
  const blocks: Block[] = [];
  const merge = (more: Block): void => {
    if (blocks.length > 0) blocks[blocks.length - 1] = { ...blocks.at(-1)!, ...more };
  };
  for (const line of text.split("\n")) {
    if (!line.startsWith("[GNUPG:] ")) continue;
    const [word, ...rest] = line.slice(9).split(" ");
    switch (word) {
      case "NEWSIG":
        blocks.push({});
        break;
      case "GOODSIG":
        merge({ keyId: rest[0]!, good: rest.slice(1).join(" ") });
        break;
      case "BADSIG":
      case "EXPSIG":
      case "EXPKEYSIG":
      case "REVKEYSIG":
        merge({ bad: word, keyId: rest[0]! });
        break;
      case "ERRSIG":
        merge({ keyId: rest[0]!, weak: !strongDigests.has(rest[2] ?? "") });
        break;
      case "VALIDSIG": {
        // fingerprint date time expires version reserved key-algorithm digest class primary-fingerprint
        const ordinary = rest[8] === "00" || rest[8] === "01";
        const weak = !strongDigests.has(rest[7] ?? "");
        if (ordinary) merge({ weak, valid: { primary: rest[9] ?? "", time: Number(rest[2]), weak } });
        break;
      }
    }
  }
  return blocks;
}

/** Who signed. */
export interface Signer {
  /** Fingerprint of the primary key. */
  readonly fingerprint: string;
  /** As the key says; control characters replaced. */
  readonly userId: string;
  /** Seconds since 1970. */
  readonly signedAt: number;
}

/** Whether a key was in use on the day of a signature, as the pin says. */
function inUse({ from, until }: PinnedKey, time: number): boolean {
  const day = new Date(time * 1000).toISOString().slice(0, 10);
  return (from === undefined || day >= from) && (until === undefined || day <= until);
}

/**
 * The first signature that is good in every respect and by a pinned key. Bad ones beside it do not count.
 *
 * @throws {ImgtaskError} IMG4001, IMG4003 to IMG4006 and IMG4041 when there is none.
 */
export function accept(blocks: readonly Block[], keys: readonly PinnedKey[], name: string): Signer {
  let early: ImgtaskError | undefined;
  for (const { bad, good, valid } of blocks) {
    if (bad !== undefined || good === undefined || valid === undefined || valid.weak) continue;
    const key = keys.find(({ fingerprint }) => fingerprint === valid.primary);
    if (key === undefined) continue;
    if (inUse(key, valid.time)) return { fingerprint: valid.primary, userId: printable(good), signedAt: valid.time };
    early = new ImgtaskError("IMG4041", `${name} was signed on a day on which the key was not in use`, {
      expected: `a signature${key.from === undefined ? "" : ` from ${key.from}`}${key.until === undefined ? "" : ` until ${key.until}`} by ${key.fingerprint}${key.owner === undefined ? "" : ` (${key.owner})`}`,
      found: `one of ${new Date(valid.time * 1000).toISOString().slice(0, 10)}`,
      exitCode: ExitCode.refused,
    });
  }
  throw early ?? refusal(blocks, keys.map(({ fingerprint }) => fingerprint), name);
}

/** The error for signatures of which none can be accepted; names the worst thing that was seen of a pinned key. */
function refusal(blocks: readonly Block[], fingerprints: readonly string[], name: string): ImgtaskError {
  const expected = `a good signature by ${fingerprints.length === 1 ? "" : "one of "}${fingerprints.join(", ")}`;
  const make = (code: string, message: string, found: string, hint?: string): ImgtaskError =>
    new ImgtaskError(code, message, { expected, found: printable(found), exitCode: ExitCode.refused, ...(hint === undefined ? {} : { hint }) });
  const pinned = (block: Block): boolean =>
    fingerprints.some((fingerprint) => fingerprint === block.valid?.primary || (block.keyId !== undefined && fingerprint.endsWith(block.keyId)));
  const bad = blocks.find((block) => block.bad === "BADSIG");
  if (bad !== undefined) return make("IMG4005", `${name} was changed after it was signed`, `a bad signature by key ${bad.keyId ?? "?"}`, "Somebody changed it on the way, or the mirror is damaged");
  const old = blocks.find((block) => block.bad !== undefined && pinned(block)) ?? blocks.find((block) => block.bad !== undefined);
  if (old !== undefined) {
    const what = { EXPSIG: "an expired signature by key", EXPKEYSIG: "a signature by the expired key", REVKEYSIG: "a signature by the revoked key", BADSIG: "" }[old.bad!];
    return make("IMG4004", `${name} is signed by a key or with a signature that is no longer valid`, `${what} ${old.keyId ?? "?"}`, "A newer imgtask may pin the successor of this key");
  }
  const weak = blocks.find((block) => block.weak === true);
  if (weak !== undefined) return make("IMG4006", `${name} is signed with a weak digest`, `a signature by key ${weak.keyId ?? "?"} that can be forged (SHA-1, MD5 or RIPEMD-160)`);
  if (blocks.length === 0) return make("IMG4001", `${name} has no usable signature`, "none");
  const keys = [...new Set(blocks.map((block) => block.valid?.primary ?? block.keyId ?? "?"))];
  return make("IMG4003", `${name} is signed by another key than those that are pinned`, keys.join(", "), "Either it is not from whom it claims to be, or the key was changed: a newer imgtask may pin the new one");
}
