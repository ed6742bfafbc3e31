/**
 * Publishes to a storage of Proxmox VE, from which machines are installed and disks imported.
 * Knows nothing of what the images are but their formats.
 * @module
 */
import { checkOptions, fit, type Fits, type ImageFormat, type ImagePublisher, type PublishContext, type PublishedImage, proxyVariables, type Secret, secret } from "../../lib/mod.ts";
import { badOption, damagedOnTheWay, missingThere, placeFull } from "./failure.ts";
import { told } from "./pieces.ts";
import { type Content, type PveStorage, removeVolume, statusOf, upload, type Volume, volumesOf } from "./proxmox-api.ts";
import { caPath, checkServer, serverFits, serverOf, type ServerOptions } from "./rest.ts";

/** What `proxmox()` takes. */
export interface ProxmoxOptions extends ServerOptions {
  readonly node: string;
  /** A storage of files of that node, with content `iso` for ISO images and `import` for the others. */
  readonly storage: string;
  /** Who the token is of, and its name: `images@pve!ci`. */
  readonly tokenId: string;
  /** Its secret. @default the one in PROXMOX_TOKEN_SECRET */
  readonly token?: Secret;
  /** Whether earlier volumes of the same image are removed when the new one is there. Needs the privilege Datastore.Allocate. @default false */
  readonly replace?: boolean;
}

const fits: Fits<ProxmoxOptions> = {
  ...serverFits,
  node: fit.needed(fit.text),
  storage: fit.needed(fit.text),
  tokenId: fit.needed(fit.text),
  token: fit.secretHandle,
  replace: fit.flag,
};

/** Under which content a format is kept, by the end of its name. */
const contents: Readonly<Partial<Record<ImageFormat, Content>>> = { iso: "iso", ova: "import", qcow2: "import", raw: "import", vmdk: "import" };

/**
 * Publishes to a storage of Proxmox VE. A volume has no notes there, so its name holds the first 16 digits of the image's
 * SHA-256: `iso-kali.iso` becomes the volume `local:iso/iso-kali-0123456789abcdef.iso`. What is there by this name
 * with the same length is not sent, and no volume is ever replaced by other bytes.
 *
 * The server compares the SHA-256 of what it received before it copies the image to its place. While it copies, a growing file can be
 * seen there: its interface has no other way. A run that is killed leaves nothing that it sent in part, or the server ends what it
 * received whole.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3521 and IMG3523 for a token that is wrong or may not,
 * IMG3522 without room, IMG3524 for a storage that is not there or does not take it, IMG3550 and IMG3551 for
 * certificates, IMG506x for the network.
 *
 * @example
 * ```ts
 * import { proxmox } from "imgtask/plugins/publish/proxmox";
 *
 * publish("pve", {
 *   artifacts: [kaliIso],
 *   tests: [kaliTest],
 *   to: proxmox({ url: "https://pve.example.org:8006", node: "pve", storage: "local", tokenId: "images@pve!ci", ca: source("config/pve-root-ca.pem") }),
 * });
 * ```
 */
export function proxmox(options: ProxmoxOptions): ImagePublisher {
  checkOptions("proxmox()", options, fits);
  checkServer(options, "proxmox");
  const { url, node, storage, tokenId, token = secret.env("PROXMOX_TOKEN_SECRET"), replace = false } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9-]{0,62}$/.test(node)) throw badOption("proxmox", "node", node, "the name of a node");
  if (!/^[A-Za-z][A-Za-z0-9._-]*[A-Za-z0-9]$/.test(storage)) throw badOption("proxmox", "storage", storage, "the id of a storage");
  if (!/^[^\s:/!=@]+@[A-Za-z][A-Za-z0-9._-]+![A-Za-z][A-Za-z0-9._-]+$/.test(tokenId)) throw badOption("proxmox", "tokenId", typeof tokenId, "USER@REALM!NAME, without the token's secret");
  const file = caPath(options);
  return Object.freeze({
    name: "proxmox",
    params: { url, node, storage, tokenId, replace, ...(file === undefined ? {} : { ca: file }) },
    tools: [],
    env: [],
    secrets: { proxmoxToken: token },
    untracked: { env: proxyVariables, reads: file === undefined ? [] : [file] },
    module: import.meta.url,
    takes: Object.keys(contents) as ImageFormat[],
    async publish(images, context) {
      const server = serverOf(options, `Proxmox VE at ${new URL(url).host}`, context);
      // A file with a token ends in a line break, which no header may hold.
      return await bring(images, { server, token: `${tokenId}=${context.secrets["proxmoxToken"]!.trim()}`, node, storage }, replace, context);
    },
  } satisfies ImagePublisher);
}

/** Name of an image's volume, around the digits. As the server makes names: other characters than these become `_`. */
function around({ name, format }: PublishedImage): readonly [string, string] {
  return [`${name.replace(/\.[A-Za-z0-9]+$/, "").replaceAll(/[^A-Za-z0-9_.-]/g, "_")}-`, `.${format}`];
}

async function bring(images: readonly PublishedImage[], to: PveStorage, replace: boolean, context: PublishContext): ReturnType<ImagePublisher["publish"]> {
  const { place } = to.server;
  const { content: taken, available } = await statusOf(to);
  const all = images.map((image) => {
    const [front, end] = around(image), content = contents[image.format]!;
    return { image, content, front, end, filename: `${front}${image.sha256.slice(0, 16)}${end}` };
  });
  for (const { content } of all) {
    if (!taken.includes(content)) throw missingThere(place, `content "${content}" in storage "${to.storage}"`, { found: said(taken), hint: `Enable it: pvesm set ${to.storage} --content …,${content}; "import" needs Proxmox VE 8.3 or later` });
  }
  const volid = ({ content, filename }: { readonly content: Content; readonly filename: string }): string => `${to.storage}:${content}/${filename}`;
  const lists = new Map<Content, readonly Volume[]>();
  const list = async (content: Content): Promise<readonly Volume[]> => lists.get(content) ?? lists.set(content, await volumesOf(to, content)).get(content)!;
  const wanted: typeof all = [];
  for (const one of all) if (!(await list(one.content)).some((volume) => volume.volid === volid(one) && volume.size === one.image.size)) wanted.push(one);
  const needed = wanted.reduce((sum, { image }) => sum + image.size, 0);
  if (available !== undefined && needed > available) throw placeFull(place, { expected: `${needed} bytes`, found: `${available} bytes` });
  for (const { image, content, filename } of wanted) {
    context.log(`sending ${filename}`);
    context.progress(`sending ${filename}`);
    await upload(to, { content, filename, size: image.size, sha256: image.sha256 }, () => told(filename, { path: image.path, offset: 0, size: image.size }, context));
  }
  lists.clear();
  for (const one of all) {
    const there = (await list(one.content)).find((volume) => volume.volid === volid(one));
    if (there?.size !== one.image.size) throw damagedOnTheWay(place, one.filename, { expected: `${one.image.size} bytes`, found: `${there?.size ?? "none"}` });
  }
  if (replace) {
    for (const { content, front, end, filename } of all) {
      const name = ({ volid: id }: Volume): string => id.slice(`${to.storage}:${content}/`.length);
      const earlier = (await list(content)).filter((volume) => name(volume) !== filename && name(volume).startsWith(front) && name(volume).endsWith(end) && /^[0-9a-f]{16}$/.test(name(volume).slice(front.length, -end.length)));
      for (const volume of earlier) {
        context.log(`removing ${volume.volid}`);
        await removeVolume(to, volume.volid);
      }
    }
  }
  return all.map((one) => ({ name: one.image.name, location: volid(one), uploaded: wanted.includes(one) }));
}

const said = (contents: readonly string[]): string => contents.join(", ").slice(0, 200);
