/**
 * Notices in the metadata of RPM repositories: signature → `repomd.xml` → `updateinfo.xml`, where it is signed.
 * @module
 */
import { mkdtemp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ImgtaskError, type Keyring, type NoticeAnswer, type NoticeSource } from "../../lib/mod.ts";
import { fetchKeys, imageFiles } from "../download/image.ts";
import { redact } from "../download/mirror.ts";
import { trustOf } from "../verify/image.ts";
import { verifyDetached } from "../verify/openpgp.ts";
import type { Signer } from "../verify/status.ts";
import { concerning, type Published } from "./choose.ts";
import { type AskContext, baseOf, bring, bringListed, trustOfAddress, unpacked } from "./fetch.ts";
import type { Subject } from "./present.ts";
import { readRepomd, readUpdateinfo } from "./updateinfo.ts";
import { compareRpmVersions } from "./version.ts";

type Source = Extract<NoticeSource, { format: "updateinfo" }>;

/** Most bytes: the largest have 0.02, 0.01, 20 and 400 MB. */
const limits = { repomd: 1_000_000, signature: 100_000, notices: 128_000_000, unpacked: 1_000_000_000 } as const;

/** Who signed `repomd.xml`; `undefined` where nobody did, as on mirrors that leave the signature out. */
async function signerOf(url: string, repomd: string, source: Source, trust: Keyring, context: AskContext): Promise<Signer | undefined> {
  if (source.keys === undefined) return undefined;
  const directory = await mkdtemp(join(context.tmp, "keys-"));
  let signature: string;
  try {
    signature = await bring(`${url}.asc`, `${repomd.split("/").at(-1)!}.asc`, limits.signature, source.env, context);
  } catch (error) {
    if (error instanceof ImgtaskError && error.code === "IMG5004") return undefined;
    throw error;
  }
  await fetchKeys(source.keys, join(directory, imageFiles.keys), context);
  return verifyDetached({ path: repomd, name: "repomd.xml", signature }, await trustOf(trust, directory, context), context);
}

async function ofRepository(base: string, index: number, source: Source, trust: Keyring, context: AskContext): Promise<{ readonly notices: readonly Published[]; readonly signer: Signer | undefined }> {
  const url = `${base}/repodata/repomd.xml`;
  const repomd = await bring(url, `repomd-${index}.xml`, limits.repomd, source.env, context);
  const signer = await signerOf(url, repomd, source, trust, context);
  const listed = await readRepomd(await readFile(repomd, "utf8"), "repomd.xml");
  if (listed === undefined) return { notices: [], signer };
  const file = await bringListed(`${base}/${listed.path}`, `updateinfo-${index}`, listed, limits.notices, source.env, context);
  return { notices: await readUpdateinfo(await unpacked(file, listed.path, Math.min(listed.openSize ?? limits.unpacked, limits.unpacked), context), "updateinfo.xml", source.link), signer };
}

/** Asks the mirrors, one after the other, for the notices of all repositories. */
export async function repositoryNotices(source: Source, subject: Subject, trust: Keyring, context: AskContext): Promise<readonly NoticeAnswer[]> {
  const named = context.env[source.env];
  const mirrors = named === undefined || named === "" ? source.mirrors : [baseOf(source.env, "", context)];
  for (const [index, mirror] of mirrors.entries()) {
    try {
      return [await fromMirror(mirror, source, subject, trust, context)];
    } catch (error) {
      if (index === mirrors.length - 1 || !(error instanceof ImgtaskError) || !error.code.startsWith("IMG5")) throw error;
    }
  }
  return [];
}

async function fromMirror(mirror: string, source: Source, subject: Subject, trust: Keyring, context: AskContext): Promise<NoticeAnswer> {
  const parts = [];
  for (const [index, path] of source.repositories.entries()) parts.push(await ofRepository(`${mirror}/${path}`, index, source, trust, context));
  const place = redact(`${mirror}/${source.repositories.length === 1 ? source.repositories[0]! : `{${source.repositories.join(",")}}`}/repodata/`);
  const chosen = concerning(parts.flatMap(({ notices }) => notices), subject, compareRpmVersions);
  if (chosen === undefined) return { source: place, state: "unavailable", why: "it is not known what they could concern: build the target once" };
  // As good as the worst of them.
  const signer = parts.every((one) => one.signer !== undefined) ? parts[0]?.signer : undefined;
  return { source: place, ...(signer === undefined ? { trust: trustOfAddress(mirror) } : { trust: "signed", signer: signer.userId }), ...chosen };
}
