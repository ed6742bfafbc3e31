/**
 * A run of three targets shown on the terminal that this program is started on; arguments name what happens to it.
 * @module
 */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { ImgtaskError } from "../../../lib/error.ts";
import { chooseReporter } from "../../../lib/report/choose.ts";
import { ended } from "./samples.ts";

const [happening] = process.argv.slice(2);
const interrupt = new AbortController();
const reporter = await chooseReporter({ cwd: "/", color: "never", signal: interrupt.signal });
const resize = (columns: number): void => void execFileSync("stty", ["cols", String(columns)], { stdio: "inherit" });
reporter.on({ type: "run started", targets: ["a:b"], jobs: 2 });
reporter.on({ type: "target started", target: "iso:debian", reasons: [], log: "/none" });
reporter.on({ type: "target progress", target: "iso:debian", text: "42 % of a text that is far too long for forty columns" });
if (happening === "retry") {
  const error = new ImgtaskError("IMG5001", "The mirror cannot be reached", { exitCode: 75 });
  reporter.on({ type: "target retrying", target: "iso:debian", attempt: 2, attempts: 3, delay: 1400, error });
}
await sleep(700);
if (happening === "width 0") resize(0);
if (happening === "width 20") resize(20);
if (happening === "interrupt") interrupt.abort("SIGINT");
if (happening === "stop") {
  // Nobody is there to continue a session's leader: the kernel does not stop it, and what it does before can be seen.
  process.kill(process.pid, "SIGTSTP");
  await sleep(300);
  process.stderr.write("STOPPED\n");
  process.kill(process.pid, "SIGCONT");
}
if (happening !== undefined) await sleep(700);
reporter.on({ type: "target started", target: "disk:debian", reasons: [], log: "/none" });
reporter.on({ type: "target done", target: "iso:debian", duration: 700, results: [], unchanged: false });
await sleep(300);
if (happening === "close") {
  reporter.close();
  process.stderr.write("CLOSED\n");
  await sleep(300);
  process.exit(0);
}
reporter.on({ type: "target done", target: "disk:debian", duration: 300, results: [], unchanged: false });
reporter.on(ended({ done: 2 }, 1000));
reporter.close();
