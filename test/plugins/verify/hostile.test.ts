/**
 * Attacks on ISO media: each is refused with the attack named, nothing of it is put out, and the refusal is logged; good media in
 * the same forms are accepted. The signatures are made by the real gpg and minisign; what these tools themselves make of
 * such files is in the project's research on reliability.
 * @module
 */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import {
  at, type Attack, base, detach, dispose, evil, expired, gnu, hex, image, imageName, keys, list, minisign, minisignKey, other, pinned, revoked, rsa, run, stranger,
} from "./image-world.ts";

/** Replaces a file of the server. */
const put = (path: string, make: (before: string, bytes: Buffer) => string | Buffer): Pick<Attack, "files"> => ({
  files: (files) => {
    const before = files.get(path)!;
    const made = make(before.toString("latin1"), before);
    files.set(path, typeof made === "string" ? Buffer.from(made, "latin1") : made);
  },
});
const sums = "r/SUMS", sig = "r/SUMS.sig", mini = "r/SUMS.minisig", iso = `r/${imageName}`;
const bundle = (...which: readonly string[]): Buffer => keys.gpg(["--export", ...which]);
const page = "<!DOCTYPE html><html><title>Please log in</title></html>";
const bsd = (size: number, bytes: Buffer = image): string => `# ${imageName}: ${size} bytes\nSHA256 (${imageName}) = ${hex(bytes)}\n`;
const swapped = list.replace(hex(image), hex(evil));
const lines = (text: string): string[] => text.split("\n");
const accepted = (signedAt: string, version = "1.2"): object => ({ media: { "vendor-1": { list: { signedAt, version } } } });

after(dispose);

type Case = readonly [what: string, code: string, named: RegExp, attack: Attack];

const signature: readonly Case[] = [
  ["an expired key", "IMG4004", /no longer valid/, { signers: [expired], signArgs: at("20200601T000000"), trust: { keys: [{ fingerprint: expired }] }, ...put("keys", () => bundle(expired)) }],
  ["a signature that has expired", "IMG4004", /no longer valid/, { signArgs: [...at("20200601T000000"), "--default-sig-expire", "1d"] }],
  ["a revoked key", "IMG4004", /no longer valid/, {
    signers: [revoked], trust: { keys: [{ fingerprint: revoked }] },
    files: (files) => {
      keys.revoke(revoked);
      files.set("keys", bundle(revoked));
    },
  }],
  ["a key of another owner in the keyring", "IMG4003", /another key/, { signers: [other], ...put("keys", () => bundle(pinned, other)) }],
  ["a key that nobody knows", "IMG4003", /another key/, { signers: [other] }],
  ["another key of the same name", "IMG4003", /another key/, {
    files: (files) => void files.set(sig, stranger.gpg(["--detach-sign"], list)).set("keys", Buffer.concat([bundle(pinned), stranger.gpg(["--export"])])),
  }],
  ["no signature", "IMG5004", /is not there/, { files: (files) => void files.delete(sig) }],
  ["an empty signature", "IMG4001", /no detached signature/, put(sig, () => "")],
  ["an error page for a signature", "IMG4001", /no detached signature/, put(sig, () => page)],
  ["an inline signature posing as detached", "IMG4001", /no detached signature/, put(sig, () => keys.gpg(["--local-user", pinned, "--sign"], swapped))],
  ["an uncompressed inline signature posing as detached", "IMG4001", /no detached signature/, put(sig, () => keys.gpg(["--local-user", pinned, "--compress-algo", "none", "--sign"], swapped))],
  ["a clearsigned message posing as detached", "IMG4001", /no detached signature/, put(sig, () => keys.clearsign(swapped, [pinned]))],
  ["SHA-1", "IMG4006", /weak digest/, { signers: [rsa], signArgs: ["--digest-algo", "SHA1", "--allow-weak-digest-algos"], trust: { keys: [{ fingerprint: rsa }] }, ...put("keys", () => bundle(rsa)) }],
  ["RIPEMD-160", "IMG4006", /weak digest/, { signers: [rsa], signArgs: ["--digest-algo", "RIPEMD160", "--allow-weak-digest-algos"], trust: { keys: [{ fingerprint: rsa }] }, ...put("keys", () => bundle(rsa)) }],
  ["the evil image's digest in the list", "IMG4005", /changed after it was signed/, { files: (files) => void files.set(sums, Buffer.from(swapped)).set(iso, evil) }],
  ["a line added to the list", "IMG4005", /changed after it was signed/, {
    files: (files) => void files.set(sums, Buffer.from(`${list}${hex(evil)}  vendor-1.9-install.iso\n`)).set("r/vendor-1.9-install.iso", evil),
  }],
  ["a line taken out of the list", "IMG4005", /changed after it was signed/, put(sums, (text) => lines(text).slice(1).join("\n"))],
  ["line ends of other systems", "IMG4005", /changed after it was signed/, put(sums, (text) => text.replaceAll("\n", "\r\n"))],
  ["a signature of another list", "IMG4005", /changed after it was signed/, put(sig, () => detach(swapped))],
  ["a damaged signature", "IMG4005", /changed after it was signed/, put(sig, (_, bytes) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([bytes.at(-1)! ^ 1])]))],
  ["half a signature", "IMG4001", /no detached signature/, put(sig, (_, bytes) => bytes.subarray(0, 40))],
  ["two armored signatures in a row", "IMG4001", /no detached signature/, put(sig, (_, bytes) => keys.gpg(["--enarmor"], bytes).toString().replaceAll("ARMORED FILE", "SIGNATURE").repeat(2))],
  ["text before an armored signature", "IMG4001", /no detached signature/, put(sig, () => `Hello\n${keys.gpg(["--armor", "--local-user", pinned, "--detach-sign"], list).toString()}`)],
  ["a key in place of the signature", "IMG4001", /no detached signature/, put(sig, () => bundle(pinned))],
  ["a day on which the key was not yet in use", "IMG4041", /not in use/, { signArgs: at("20200601T000000"), trust: { keys: [{ fingerprint: pinned, from: "2025-04-17" }] } }],
  ["a day on which the key was no longer in use", "IMG4041", /not in use/, { trust: { keys: [{ fingerprint: pinned, until: "2025-04-18" }] } }],
  ["no keys at hand", "IMG4040", /None of the pinned keys/, put("keys", () => "")],
  ["keys of others only", "IMG4040", /None of the pinned keys/, { signers: [other], ...put("keys", () => bundle(other)) }],
  ["an error page for keys", "IMG4040", /None of the pinned keys/, put("keys", () => page)],
  ["damaged keys", "IMG4040", /None of the pinned keys/, put("keys", (_, bytes) => Buffer.concat([bytes.subarray(0, 20), Buffer.from([bytes[20]! ^ 1]), bytes.subarray(21)]))],
];

const clear = { how: "clearsigned" } as const;
const clearsigned: readonly Case[] = [
  ["text before the list", "IMG4002", /before the signed message/, { ...clear, ...put(sums, (text) => `${hex(evil)}  ${imageName}\n${text}`), behave: ({ files }) => void files.set(iso, evil) }],
  ["text after the list", "IMG4002", /after the signature/, { ...clear, ...put(sums, (text) => `${text}${hex(evil)}  vendor-1.9-install.iso\n`), behave: ({ files }) => void files.set("r/vendor-1.9-install.iso", evil) }],
  ["a second list", "IMG4002", /after the signature|more than one/, { ...clear, ...put(sums, (text) => text + keys.clearsign(swapped, [other])) }],
  ["a list in the list", "IMG4002", /more than one message|signature/, { ...clear, ...put(sums, (text) => text.replace("\n\n", "\n\n-----BEGIN PGP SIGNED MESSAGE-----\n")) }],
  ["form feeds", "IMG4002", /control characters/, { ...clear, ...put(sums, (text) => text.replace("\n\n", "\n\n\f")) }],
  ["carriage returns", "IMG4002", /control characters/, { ...clear, ...put(sums, (text) => text.replace("vendor-1.2-other.iso", `vendor-1.2-other.iso\r${hex(evil)}  x`)) }],
  ["a NUL", "IMG4002", /control characters/, { ...clear, ...put(sums, (text) => text.replace("vendor-1.2-other.iso", "vendor-1.2-other.iso\0")) }],
  ["unknown headers", "IMG4002", /unknown headers/, { ...clear, ...put(sums, (text) => text.replace(/Hash: SHA\d+/, "NotDashEscaped: yes")) }],
  ["no signature", "IMG4001", /not signed/, { ...clear, ...put(sums, () => list) }],
  ["the signature cut off", "IMG4001", /signature is missing/, { ...clear, ...put(sums, (text) => text.slice(0, text.indexOf("-----BEGIN PGP SIGNATURE"))) }],
  ["text between the lines of the signature", "IMG4002", /./, { ...clear, ...put(sums, (text) => text.replace("-----BEGIN PGP SIGNATURE-----\n", `-----BEGIN PGP SIGNATURE-----\n${hex(evil)}  ${imageName}\n`)) }],
  ["the evil image's digest in it", "IMG4005", /changed after it was signed/, { ...clear, files: (files) => void files.set(sums, Buffer.from(files.get(sums)!.toString().replace(hex(image), hex(evil)))).set(iso, evil) }],
  ["another key", "IMG4003", /another key/, { ...clear, signers: [other] }],
];

const ms = { how: "minisign" } as const;
const forged = (): string => {
  // Another key under the id of the trusted one: ids are names that anybody may take.
  const [untrusted, line, trusted, global] = lines(minisign(list, { key: "other" })) as [string, string, string, string];
  const bytes = Buffer.from(line, "base64");
  Buffer.from(minisignKey("vendor").text, "base64").copy(bytes, 2, 2, 10);
  return [untrusted, bytes.toString("base64"), trusted, global, ""].join("\n");
};
const minisigned: readonly Case[] = [
  ["the name of another file", "IMG4035", /another name/, { ...ms, ...put(mini, () => minisign(list, { name: "OTHER" })) }],
  ["no name", "IMG4035", /another name/, { ...ms, ...put(mini, () => minisign(list, { args: ["-t", "hello"] })) }],
  ["a carriage return and more text in the comment", "IMG4030", /Not a minisign/, { ...ms, ...put(mini, (text) => text.replace(/(trusted comment: [^\n]*)\n([^\n]*\n)$/, "$1\rfile:SUMS\n$2")) }],
  ["the old form", "IMG4034", /old form/, { ...ms, ...put(mini, () => minisign(list, { args: ["-l"] })) }],
  ["another key", "IMG4031", /not trusted/, { ...ms, ...put(mini, () => minisign(list, { key: "other" })) }],
  ["another key of the same id", "IMG4032", /not what was signed/, { ...ms, ...put(mini, forged) }],
  ["another list", "IMG4032", /not what was signed/, { ...ms, files: (files) => void files.set(sums, Buffer.from(swapped)).set(iso, evil) }],
  ["an edited comment", "IMG4033", /trusted comment/, { ...ms, ...put(mini, (text) => text.replace("timestamp:1", "timestamp:2")) }],
  ["a fifth line", "IMG4030", /Not a minisign/, { ...ms, ...put(mini, (text) => `${text}file:SUMS\n`) }],
];

const listed: readonly Case[] = [
  ["a line that is no entry", "IMG4043", /no entry/, { text: `${list}see also ${imageName}\n` }],
  ["a name that leads elsewhere", "IMG4043", /no entry/, { text: `${list}${hex(evil)}  ../../../etc/passwd\n` }],
  ["a digest that is cut off", "IMG4043", /no entry/, { text: `${list}${hex(evil).slice(1)}  short.iso\n` }],
  ["two digests of one image", "IMG4044", /twice/, { text: `${list}${hex(evil)}  ${imageName}\n` }],
  ["another release, validly signed", "IMG5008", /lists no image/, { text: gnu(["vendor-2.0-install.iso", image]) }],
  ["digests by MD5 only", "IMG5008", /lists no image/, { form: "bsd", text: `MD5 (${imageName}) = ${hex(image, "md5")}\n` }],
  ["an older date than the list that was accepted last", "IMG4047", /older than the list/, { signArgs: at("20240601T000000"), lock: accepted("2025-01-01T00:00:00.000Z") }],
  ["an older version than what was accepted last", "IMG4047", /older than the list/, { lock: accepted("2020-01-01T00:00:00.000Z", "1.10") }],
  ["no date where the one accepted last has one", "IMG4047", /older than the list/, { ...ms, ...put(mini, () => minisign(list, { args: ["-t", "file:SUMS"] })), lock: accepted("2025-01-01T00:00:00.000Z") }],
  ["nobody who vouches for it", "IMG4042", /Nobody vouches/, { how: "none" }],
];

const transferred: readonly Case[] = [
  ["another image", "IMG4020", /damaged or tampered/, put(iso, () => evil)],
  ["one byte changed", "IMG4020", /damaged or tampered/, put(iso, (_, bytes) => Buffer.concat([bytes.subarray(0, 100), Buffer.from([bytes[100]! ^ 1]), bytes.subarray(101)]))],
  ["an image cut short", "IMG4020", /damaged or tampered/, put(iso, (_, bytes) => bytes.subarray(0, 1000))],
  ["a longer image than is listed", "IMG5005", /longer/, { form: "bsd", text: bsd(image.length), ...put(iso, (_, bytes) => Buffer.concat([bytes, evil])) }],
  ["an endless image", "IMG5005", /longer/, { behave: ({ behaviours }) => void behaviours.set(iso, endless) }],
  ["an endless list", "IMG5005", /longer/, { behave: ({ behaviours }) => void behaviours.set(sums, endless) }],
  ["an endless signature", "IMG5005", /longer/, { behave: ({ behaviours }) => void behaviours.set(sig, endless) }],
  ["an error page with the answer 200 for the list", "IMG5003", /something else/, put(sums, () => page)],
  ["an error page with the answer 200 for the image", "IMG4020", /damaged or tampered/, put(iso, () => page)],
  ["a redirect to a file of the host", "IMG5007", /redirect/, { behave: ({ behaviours }) => void behaviours.set(iso, (_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end()) }],
  ["redirects in circles", "IMG5007", /redirect/, { behave: ({ behaviours }) => void behaviours.set(iso, (request, response) => void response.writeHead(302, { location: request.url! }).end()) }],
  ["an image exchanged after the download", "IMG4020", /damaged or tampered/, { between: (tree) => writeFileSync(join(tree, "image.iso"), evil) }],
  ["a list exchanged after the download", "IMG4005", /changed after it was signed/, { between: (tree) => writeFileSync(join(tree, "list"), swapped) }],
  ["another image than the imagefile pins", "IMG4046", /pins/, { media: { sha256: hex(evil) } }],
  ["a file of the user's that is another one", "IMG4020", /damaged or tampered/, { media: { sha256: hex(evil), source: { kind: "file", path: join(base, "mine.iso") } }, files: () => writeFileSync(join(base, "mine.iso"), image) }],
];

/** Sends for as long as somebody reads, and gives the reader, who is in this process, a turn after each piece. */
function endless(_: unknown, response: ServerResponse): void {
  response.writeHead(200);
  const more = (): void => {
    if (response.destroyed || response.writableLength > 1_000_000) return;
    response.write(Buffer.alloc(65_536));
    setImmediate(more);
  };
  response.on("drain", more);
  response.on("error", () => {});
  more();
}

let refused = 0;
const groups = { "a list signed with": signature, "a clearsigned list with": clearsigned, "a list signed by minisign with": minisigned, "a list with": listed, "media with": transferred };
for (const [group, cases] of Object.entries(groups)) {
  describe(`refused: ${group}`, () => {
    for (const [what, code, named, attack] of cases) {
      it(what, async () => {
        const { error, left, log } = await run(attack);
        assert.equal(error?.code, code, error === undefined ? "accepted" : `${error.message}; found ${error.found}`);
        assert.match(error!.message, named);
        assert.deepEqual(left, [], "nothing stands at a final path");
        if (/^IMG(4|500[357])/.test(code)) assert.ok(log.includes(`refused, ${code}`), `the refusal is logged: ${log}`);
        if (code.startsWith("IMG4")) assert.equal(error!.exitCode, 3);
        refused++;
      });
    }
  });
}

const good: readonly (readonly [string, Attack, string?])[] = [
  ["a binary detached signature", {}],
  ["an armored detached signature", put(sig, () => keys.gpg(["--armor", "--local-user", pinned, "--detach-sign"], list))],
  ["a clearsigned list", clear],
  ["a clearsigned list in BSD form, with sizes and comments", { ...clear, form: "bsd", text: `# A comment\n\n${bsd(image.length)}MD5 (${imageName}) = ${hex(image, "md5")}\n` }],
  ["minisign", ms],
  ["a second signature by a stranger", { signers: [other, pinned] }],
  ["armored keys among those of others", put("keys", () => keys.gpg(["--armor", "--export", other, pinned, rsa]))],
  ["SHA-512", { algorithm: "sha512", text: `${hex(image, "sha512")}  ${imageName}\n` }],
  ["the newest of several versions", { text: `${list}${gnu(["vendor-1.10-install.iso", evil], ["vendor-1.9-install.iso", image])}`, files: (files) => void files.set("r/vendor-1.10-install.iso", evil) }, "1.10"],
  ["the version that was asked for among several", { text: `${list}${gnu(["vendor-1.10-install.iso", evil])}`, media: { image: { name: "vendor-{version}-install.iso", version: "1.2" } } }],
  ["a newer list than the one that was accepted last", { lock: accepted("2024-01-01T00:00:00.000Z", "1.1") }],
  ["an older list, for an image that is pinned", { signArgs: at("20240601T000000"), lock: accepted("2025-01-01T00:00:00.000Z", "1.10"), media: { sha256: hex(image) } }],
  ["a list that is not signed, for an image that is pinned", { how: "none", media: { sha256: hex(image) } }],
  ["a key in its days", { signArgs: at("20240601T000000"), trust: { keys: [{ fingerprint: pinned, from: "2024-06-01", until: "2024-06-01" }] } }],
  ["a file of the user's", { media: { sha256: hex(image), image: { name: "mine.iso" }, source: { kind: "file", path: join(base, "mine.iso") } }, files: () => writeFileSync(join(base, "mine.iso"), image) }, "none"],
];
let taken = 0;
describe("accepted:", () => {
  for (const [what, attack, version = "1.2"] of good) {
    it(what, async () => {
      const { error, manifest, out, log } = await run(attack);
      assert.equal(error, undefined, `${error?.code} ${error?.message}; found ${error?.found}`);
      assert.ok(out!.equals(version === "1.10" ? evil : image));
      assert.equal(manifest!.files["media.iso"].sha256, hex(out!));
      assert.equal(manifest!.version ?? "none", version);
      assert.match(log, / accepted \|$/m);
      taken++;
    });
  }
});

it("the counts are what the project promises: 60 refused, 12 accepted", (t) => {
  t.diagnostic(`${refused} hostile cases refused with the attack named, ${taken} good ones accepted, 0 unverified bytes at a final path`);
  assert.ok(refused >= 60 && taken >= 12, `${refused} and ${taken}`);
  assert.equal(refused, Object.values(groups).flat().length);
  assert.equal(taken, good.length);
});
