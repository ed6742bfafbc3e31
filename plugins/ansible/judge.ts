/**
 * What the log of ansible-playbook says of a run: which task failed and why. Knows nothing of how it was run.
 * @module
 */
import { ImgtaskError } from "../../lib/mod.ts";

interface Failure {
  readonly task: string;
  readonly message: string;
}

/** The message of a result, which the callback `default` prints as JSON in one line. */
function messageOf(json: string): string {
  try {
    const result = JSON.parse(json) as { readonly msg?: unknown; readonly stderr?: unknown; readonly censored?: unknown; readonly exception?: unknown };
    const said = [result.msg, result.stderr, result.censored].filter((part) => part !== undefined && part !== "").map((part) => (typeof part === "string" ? part : JSON.stringify(part)));
    return said.join(": ").trim().slice(0, 2000) || json.slice(0, 2000);
  } catch {
    return json.slice(0, 2000);
  }
}

/** The last failure that nothing ignored. Format: the callback plugin `default`, each line as Python's `logging` writes it. */
function lastFailure(lines: readonly string[]): Failure | undefined {
  let task = "", last: Failure | undefined, before: Failure | undefined;
  for (const line of lines) {
    const header = /^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$/.exec(line)?.[1];
    const failed = /^(?:fatal|failed): \[[^\]]*\].*?(?:=> )(\{.*)$/.exec(line)?.[1];
    if (header !== undefined) {
      task = header;
      before = last;
    } else if (line === "...ignoring") last = before;
    else if (failed !== undefined && !(last?.task === task && /"msg": "(?:All items completed|One or more items failed)"/.test(failed))) last = { task, message: messageOf(failed) };
  }
  return last;
}

/**
 * The error of a run, or `undefined` when it did what it was to do.
 *
 * @param code exit code of ansible-playbook.
 * @param log what `ANSIBLE_LOG_PATH` got.
 * @param playbook its name, for people.
 */
export function judge(code: number, log: string, playbook: string): ImgtaskError | undefined {
  const lines = log.split("\n").map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ p=\d+ u=\S+ n=[^|]*\| ?/, "").trimEnd());
  const failure = code === 0 ? undefined : lastFailure(lines);
  if (failure !== undefined) {
    return new ImgtaskError("IMG3640", `The task "${failure.task}" of the playbook "${playbook}" failed`, { expected: "a task that ends without failure", found: failure.message });
  }
  if (code !== 0) {
    const at = lines.findLastIndex((line) => line.includes("ERROR! ") || line.startsWith("[ERROR]"));
    const found = lines.slice(Math.max(at, 0)).join("\n").replace(/^.*ERROR! /, "").trim().slice(0, 2000);
    return new ImgtaskError("IMG3642", `Ansible cannot play "${playbook}"`, { expected: "exit code 0", found: `exit code ${code}: ${found === "" ? "see the log" : found}` });
  }
  if (!lines.includes("skipping: no hosts matched")) return undefined;
  return new ImgtaskError("IMG3643", `A play of "${playbook}" is for no host`, { expected: "`hosts: all`, or a group that is in `groups`", found: "skipping: no hosts matched" });
}
