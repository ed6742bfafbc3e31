/**
 * A loopback HTTP server that looks like the vendors' own: ISO images given by path stand where each vendor has them, with
 * lists and signatures in that vendor's form, signed by a throw-away key. RHEL is behind a portal that wants a token.
 * Paths and forms are written down here by hand, not taken from `distros/`: that they agree is what is tested.
 * Knows nothing of the code under test.
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Vendors that can be served. */
export type Vendor = "ubuntu" | "kali" | "debian" | "rocky" | "alma" | "centos-stream" | "fedora" | "rhel";

/** An image to serve. */
export interface VendorImage {
  readonly vendor: Vendor;
  /** Path of the ISO image; read anew for each request. */
  readonly iso: string;
  /** As imagefiles call it. @default the vendor's newest here: 24.04, rolling, trixie, 9, 9, 9, 44, 9 */
  readonly release?: string;
  /** In the image's name: `24.04.3`. @default one that fits */
  readonly version?: string;
  /** `x86_64` or `aarch64`. @default "x86_64" */
  readonly arch?: string;
  /** @default live-server, netinst, netinst, boot, boot, boot, netinst, boot */
  readonly edition?: string;
}

/** Where an image stands, and in which form it is listed. */
interface Shape {
  readonly directory: string;
  readonly name: string;
  readonly list: string;
  readonly form: "gnu" | "gnu-star" | "bsd";
  /** Other images in the same list. */
  readonly others: readonly string[];
  readonly signature: "clearsigned" | "none" | { readonly file: string; readonly armor: boolean };
}

const debianArch = (arch: string): string => (arch === "aarch64" ? "arm64" : "amd64");

function shapeOf({ vendor, release, version, arch = "x86_64", edition }: VendorImage): Shape {
  const deb = debianArch(arch);
  switch (vendor) {
    case "ubuntu": {
      const of = release ?? "24.04", full = version ?? `${of}.3`, which = edition ?? "live-server";
      const directory = arch === "x86_64" ? of : `${of}/release`;
      return {
        directory, name: `ubuntu-${full}-${which}-${deb}.iso`, list: "SHA256SUMS", form: "gnu-star",
        others: [`ubuntu-${full}-desktop-${deb}.iso`, `ubuntu-${full}-netboot-${deb}.tar.gz`], signature: { file: "SHA256SUMS.gpg", armor: true },
      };
    }
    case "kali": {
      const full = version ?? "2025.3", which = edition ?? "netinst";
      return {
        directory: "current", name: `kali-linux-${full}-${which === "netinst" ? "installer-netinst" : "installer"}-${deb}.iso`, list: "SHA256SUMS", form: "gnu",
        others: [`kali-linux-${full}-live-${deb}.iso`, `kali-linux-${full}-installer-purple-${deb}.iso`], signature: { file: "SHA256SUMS.gpg", armor: true },
      };
    }
    case "debian": {
      const of = release ?? "trixie", full = version ?? (of === "bookworm" ? "12.12.0" : "13.1.0");
      return {
        directory: `${of === "bookworm" ? "archive/latest-oldstable" : "release/current"}/${deb}/iso-cd`, name: `debian-${full}-${deb}-netinst.iso`, list: "SHA256SUMS", form: "gnu",
        others: [`debian-edu-${full}-${deb}-netinst.iso`, `debian-mac-${full}-${deb}-netinst.iso`], signature: { file: "SHA256SUMS.sign", armor: true },
      };
    }
    case "rocky": {
      const of = release ?? "9", full = version ?? `${of}.6`;
      return {
        directory: `${of}/isos/${arch}`, name: `Rocky-${full}-${arch}-${edition ?? "boot"}.iso`, list: "CHECKSUM", form: "bsd",
        others: [`Rocky-${of}-latest-${arch}-boot.iso`, `Rocky-${full}-${arch}-dvd.iso`], signature: { file: "CHECKSUM.asc", armor: true },
      };
    }
    case "alma": {
      const of = release ?? "9", full = version ?? `${of}.6`;
      return {
        directory: `${of}/isos/${arch}`, name: `AlmaLinux-${full}-${arch}-${edition ?? "boot"}.iso`, list: "CHECKSUM", form: "bsd",
        others: [`AlmaLinux-${of}-latest-${arch}-boot.iso`, `AlmaLinux-${full}-${arch}-dvd.iso`], signature: "clearsigned",
      };
    }
    case "centos-stream": {
      const of = release ?? "9", name = `CentOS-Stream-${of}-${version ?? "latest"}-${arch}-${edition === "dvd" ? "dvd1" : "boot"}.iso`;
      return { directory: `${of}-stream/BaseOS/${arch}/iso`, name, list: `${name}.SHA256SUM`, form: "bsd", others: [], signature: "none" };
    }
    case "fedora": {
      const of = release ?? "44", full = version ?? (of === "43" ? "43-1.6" : "44-1.7");
      return {
        directory: `releases/${of}/Server/${arch}/iso`, name: `Fedora-Server-${edition ?? "netinst"}-${arch}-${full}.iso`, list: `Fedora-Server-${full}-${arch}-CHECKSUM`, form: "bsd",
        others: [`Fedora-Server-dvd-${arch}-${full}.iso.other`], signature: "clearsigned",
      };
    }
    case "rhel":
      return { directory: "cdn", name: `rhel-${version ?? `${release ?? "9"}.6`}-${arch}-${edition ?? "boot"}.iso`, list: "", form: "bsd", others: [], signature: "none" };
  }
}

/** What the server had in answer to one request; `undefined`: nothing. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A running server. */
export interface VendorServer {
  readonly url: string;
  /** Fingerprint of the key that signs everything. */
  readonly fingerprint: string;
  /** File with that key, to be named in `files` of a keyring. */
  readonly keyring: string;
  /** Environment in which imgtask finds the server: mirrors, keys, notices, and RHEL's portal. */
  readonly env: Readonly<Record<string, string>>;
  /** Value of `trust:` in an imagefile, as JSON. */
  readonly trust: { readonly keys: readonly { readonly fingerprint: string }[]; readonly files: readonly string[] };
  /** Token that the portal takes. */
  readonly token: string;
  /** SHA-256 of images by their path in `images`. */
  digest(iso: string): string;
  /** Paths that were asked for, in order. */
  readonly seen: readonly string[];
  /** Who may ask for what; others are told to log in. Everybody unless it is set. */
  lets: ((request: IncomingMessage, path: string) => boolean) | undefined;
  /** By path without the leading slash: answers instead. */
  readonly answers: Map<string, Answer>;
  /** Small files by path without the leading slash: lists, signatures, keys. May be changed. */
  readonly files: Map<string, Buffer>;
  /** Where an image, its list and its signature stand: paths without the leading slash. */
  place(image: VendorImage): { readonly image: string; readonly list: string; readonly signature?: string };
  /** Signs as a vendor does. */
  sign(text: string, how: "detached" | "clearsigned", args?: readonly string[]): Buffer;
  close(): Promise<void>;
}

function digestOf(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

/** The text of a list in a vendor's form. */
export function listText(form: Shape["form"], entries: readonly { readonly name: string; readonly digest: string; readonly size: number }[]): string {
  return entries.map(({ name, digest, size }) => {
    if (form === "bsd") return `# ${name}: ${size} bytes\nSHA256 (${name}) = ${digest}\n`;
    return `${digest} ${form === "gnu" ? " " : "*"}${name}\n`;
  }).join("");
}

function stream(file: string, request: IncomingMessage, response: ServerResponse): void {
  const { size, mtimeMs } = statSync(file);
  const etag = `"${size.toString(16)}-${Math.floor(mtimeMs).toString(16)}"`;
  const match = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
  const wanted = request.headers["if-range"];
  const headers = { etag, "accept-ranges": "bytes", "content-type": "application/octet-stream" };
  if (match === null || (wanted !== undefined && wanted !== etag)) {
    response.writeHead(200, { ...headers, "content-length": size });
    return void (request.method === "HEAD" ? response.end() : createReadStream(file).pipe(response));
  }
  const start = Number(match[1]), end = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (start >= size || start > end) return void response.writeHead(416, { ...headers, "content-range": `bytes */${size}` }).end();
  response.writeHead(206, { ...headers, "content-length": end - start + 1, "content-range": `bytes ${start}-${end}/${size}` });
  createReadStream(file, { start, end }).pipe(response);
}

/**
 * Starts a server.
 *
 * @example
 * ```ts
 * const server = await vendorServer([{ vendor: "kali", iso: "/tmp/small.iso" }, { vendor: "alma", iso: "/tmp/small.iso" }]);
 * project.start(["run"], { env: server.env }); // trust: ${JSON.stringify(server.trust)}
 * await server.close();
 * ```
 */
export async function vendorServer(images: readonly VendorImage[]): Promise<VendorServer> {
  const directory = mkdtempSync(join(tmpdir(), "imgtask-vendor-"));
  const gpg = (args: readonly string[], input: string | Buffer = ""): Buffer =>
    execFileSync("gpg", ["--homedir", directory, "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", "", ...args], { input, stdio: ["pipe", "pipe", "ignore"] });
  gpg(["--quick-gen-key", "Vendor <vendor@example.org>", "ed25519", "sign", "never"]);
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg(["--list-keys", "--with-colons"]).toString())![1]!;
  const keyring = join(directory, "vendor.gpg");
  writeFileSync(keyring, gpg(["--export", fingerprint]));
  const sign: VendorServer["sign"] = (text, how, args = []) => gpg([...args, how === "clearsigned" ? "--clearsign" : "--detach-sign"], text);

  const files = new Map<string, Buffer>([["keys/vendor.asc", gpg(["--armor", "--export", fingerprint])]]);
  const isos = new Map<string, string>(), answers = new Map<string, Answer>(), seen: string[] = [], byDigest = new Map<string, string>();
  const place: VendorServer["place"] = (image) => {
    const { directory: below, name, list, signature } = shapeOf(image);
    const base = `${image.vendor}/${below}`;
    return { image: `${base}/${name}`, list: `${base}/${list}`, ...(typeof signature === "object" ? { signature: `${base}/${signature.file}` } : {}) };
  };
  const token = "offline-token-of-a-customer";
  for (const image of images) {
    const shape = shapeOf(image), digest = digestOf(image.iso), { size } = statSync(image.iso), at = place(image);
    isos.set(at.image, image.iso);
    byDigest.set(digest, at.image);
    if (image.vendor === "rhel") continue;
    const others = shape.others.map((name) => ({ name, digest: createHash("sha256").update(name).digest("hex"), size: 1_000_000 }));
    const before = files.get(at.list)?.toString() ?? "";
    const text = `${before.startsWith("-----") ? "" : before}${listText(shape.form, [...others, { name: shape.name, digest, size }])}`;
    files.set(at.list, shape.signature === "clearsigned" ? sign(text, "clearsigned") : Buffer.from(text));
    if (at.signature !== undefined) files.set(at.signature, sign(text, "detached", ["--armor"]));
  }

  const portal = (path: string, request: IncomingMessage, response: ServerResponse, url: string): boolean => {
    const download = /^portal\/management\/v1\/images\/([0-9a-f]{64})\/download$/.exec(path);
    if (path === "portal/auth/realms/redhat-external/protocol/openid-connect/token") {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += String(chunk)));
      request.on("end", () => {
        const form = new URLSearchParams(body);
        const good = request.method === "POST" && form.get("grant_type") === "refresh_token" && form.get("client_id") === "rhsm-api" && form.get("refresh_token") === token;
        response.writeHead(good ? 200 : 400, { "content-type": "application/json" }).end(JSON.stringify(good ? { access_token: "access-token-of-an-hour", expires_in: 900 } : { error: "invalid_grant" }));
      });
      return true;
    }
    if (download === null) return false;
    const iso = byDigest.get(download[1]!);
    if (request.headers.authorization !== "Bearer access-token-of-an-hour") response.writeHead(401).end();
    else if (iso === undefined) response.writeHead(404).end();
    else response.writeHead(307, { "content-type": "application/json", location: `${url}/${iso}?_auth_=signed-for-an-hour` }).end(JSON.stringify({ body: { filename: iso.split("/").at(-1), href: `${url}/${iso}?_auth_=signed-for-an-hour` } }));
    return true;
  };

  const server = http.createServer((request, response) => {
    const address = new URL(request.url!, "http://x"), path = decodeURI(address.pathname).slice(1);
    seen.push(path);
    if (self.lets?.(request, path) === false) return void response.writeHead(401).end();
    const answer = answers.get(path);
    if (answer !== undefined) return answer(request, response);
    if (portal(path, request, response, url)) return;
    const iso = isos.get(path);
    if (iso !== undefined) {
      if (path.startsWith("rhel/") && address.searchParams.get("_auth_") !== "signed-for-an-hour") return void response.writeHead(403).end();
      return stream(iso, request, response);
    }
    const file = files.get(path);
    if (file === undefined) return void response.writeHead(404).end("no such file");
    response.writeHead(200, { "content-length": file.length, "content-type": "text/plain" }).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const env: Record<string, string> = { IMGTASK_RHEL_PORTAL: `${url}/portal` };
  for (const vendor of ["DEBIAN", "UBUNTU", "RHEL"]) env[`IMGTASK_${vendor}_NOTICES`] = `${url}/notices/${vendor.toLowerCase()}`;
  for (const vendor of ["ubuntu", "kali", "debian", "rocky", "alma", "centos-stream", "fedora"]) {
    const prefix = `IMGTASK_${vendor.toUpperCase().replace("-", "_")}`;
    env[`${prefix}_IMAGE_MIRROR`] = `${url}/${vendor}`;
    env[`${prefix}_KEYRING`] = `${url}/keys/vendor.asc`;
  }
  const self: VendorServer = {
    url,
    lets: undefined,
    fingerprint,
    keyring,
    env,
    trust: { keys: [{ fingerprint }], files: [keyring] },
    token,
    digest: digestOf,
    seen,
    answers,
    files,
    place,
    sign,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      execFileSync("gpgconf", ["--homedir", directory, "--kill", "gpg-agent"]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
  return self;
}
