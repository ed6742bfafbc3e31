/**
 * The checksum of a medium in the medium itself, by which `checkisomd5`, Anaconda and dracut tell a damaged copy.
 * Knows nothing of what is on it.
 * @module
 */
import { type RunContext, tool, type Tool } from "../../lib/mod.ts";

/** The program that puts it there. */
export const implanter: Tool = tool("implantisomd5", { versionArgs: ["--help"], packages: { apt: "isomd5sum", dnf: "isomd5sum" } });

/** Puts it into the volume descriptor, where neither boot records nor files are. */
export async function implant(image: string, exec: RunContext["exec"]): Promise<void> {
  await exec(["implantisomd5", "--force", image]);
}
