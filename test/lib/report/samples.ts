/**
 * Events of a run that the tests of all reporters share.
 * @module
 */
import { ImgtaskError } from "../../../lib/error.ts";
import type { Event, Reason } from "../../../lib/event.ts";

/** A sink that keeps what is written. */
export function memory(): { text: string; write(text: string): void } {
  return {
    text: "",
    write(text: string) {
      this.text += text;
    },
  };
}

/** One reason of every type. */
export const reasons: { readonly [Type in Reason["type"]]: Extract<Reason, { readonly type: Type }> } = {
  "never run": { type: "never run" },
  forced: { type: "forced" },
  store: { type: "store", output: "out", problem: "damaged" },
  kept: { type: "kept", path: ".imgtask/keys/lab", problem: "missing" },
  option: { type: "option", name: "size", from: '"8G"', to: '"10G"' },
  source: { type: "source", path: "overlay/etc/motd", change: "changed", details: [{ what: "content" }] },
  upstream: { type: "upstream", target: "rootfs:debian", output: "out", from: "ab", to: "cd" },
  input: { type: "input", name: "inputs.conf", from: '["a/**"]', to: '["b/**"]' },
  environment: { type: "environment", name: "HTTP_PROXY", change: "changed" },
  tool: { type: "tool", name: "xorriso", from: "1.5.4", to: "1.5.6" },
  recipe: { type: "recipe", module: "imagefile", from: "ab", to: "cd" },
  outputs: { type: "outputs", name: "out", from: '{"form":"file","path":"artifacts/a","type":"text"}', to: '{"form":"file","path":"artifacts/b","type":"text"}' },
  manifest: { type: "manifest", key: "platform", from: "x86_64", to: "aarch64" },
};

export const ended = (counts: Partial<Record<"fresh" | "restored" | "done" | "failed" | "skipped" | "cancelled", number>>, duration: number): Event => ({
  type: "run ended",
  duration,
  outcomes: { fresh: 0, restored: 0, done: 0, failed: 0, skipped: 0, cancelled: 0, ...counts },
  signal: undefined,
});

/** A run in which something of everything happens. `log` is the log of the target that fails. */
export function story(directory: string, log: string): readonly Event[] {
  return [
    { type: "waiting", holder: "process 4711, imgtask run" },
    { type: "run started", targets: ["iso:debian", "disk:debian"], jobs: 2 },
    { type: "target fresh", target: "download:debian" },
    { type: "target restored", target: "verify:debian", paths: ["artifacts/verify/linux"] },
    { type: "target started", target: "iso:debian", reasons: [reasons.source, reasons.forced], log: `${directory}/iso.log` },
    { type: "target started", target: "disk:debian", reasons: [reasons.option], log },
    { type: "target progress", target: "iso:debian", text: "42 %" },
    {
      type: "target done", target: "iso:debian", duration: 3200, unchanged: false,
      results: [{ output: "out", digest: "ab", size: 61_400_000, path: "artifacts/iso/debian.iso" }, { output: "list", digest: "cd", size: 10, path: undefined }],
    },
    {
      type: "target failed", target: "disk:debian", duration: 41_000, log,
      error: new ImgtaskError("IMG3002", '"mke2fs" failed', {
        expected: "exit code 0", found: "exit code 1", hint: "Run it again by hand: cd /x && mke2fs",
        location: { file: `${directory}/imagefile.ts`, line: 2, column: 7 },
      }),
    },
    { type: "target skipped", target: "test:debian", because: "disk:debian" },
    { type: "target cancelled", target: "dirs:debian" },
    { type: "warning", code: "IMG9101", message: "A record was damaged", hint: "It is built anew" },
    ended({ fresh: 1, restored: 1, done: 1, failed: 1, skipped: 1, cancelled: 1 }, 41_200),
  ];
}
