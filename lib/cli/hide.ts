/**
 * Keeps the values of secrets out of what this process writes to its standard streams, whoever writes it.
 * @module
 */
import { onProtected, redact } from "../redact.ts";

let hidden = false;

/** From now on every protected value is masked on standard output and error; GitHub's runner is told them, too. */
export function hideSecrets(env: NodeJS.ProcessEnv = process.env): void {
  if (hidden) return;
  hidden = true;
  const say = process.stdout.write.bind(process.stdout);
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream) as (chunk: string | Uint8Array, ...rest: unknown[]) => boolean;
    stream.write = ((chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
      if (typeof chunk === "string") return write(redact(chunk), ...rest);
      const clean = redact(Buffer.from(chunk).toString("utf8"));
      // Bytes that are no text stay as they are.
      return write(clean === Buffer.from(chunk).toString("utf8") ? chunk : clean, ...rest);
    }) as typeof stream.write;
  }
  if (env["GITHUB_ACTIONS"] !== "true") return;
  // A mask of several lines is one of each.
  onProtected((value) => value.split(/\r?\n/).filter((line) => line.trim() !== "").forEach((line) => say(`::add-mask::${line.replaceAll("%", "%25")}\n`)));
}
