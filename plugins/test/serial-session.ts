/**
 * Comes into a guest by its serial console, as somebody at a terminal would: name, password, a shell. Leaves nothing
 * behind. Knows nothing of what is looked at inside.
 * @module
 */
import { createHash } from "node:crypto";
import type { Console, Pattern, Sighting } from "./serial.ts";

/** The terminal: what it shows, and a way to type. */
export interface Terminal {
  readonly console: Console;
  readonly type: (text: string) => void;
}

/** What a session needs beside the terminal. */
export interface Session {
  readonly user: string;
  readonly password: string;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

type Outcome<T> = T | { readonly refused: string };

const prompt: Pattern = { source: "(?:^|\\n)[^\\n]*(?<!Last )login: ?$", flags: "" };
const password: Pattern = { source: "password: ?$", flags: "i" };
/** What login(1) says when it lets nobody in. */
const incorrect = "[Ll]ogin incorrect|(?<!Last )login: ?$";

async function wait({ console }: Terminal, { deadline, signal }: Session, pattern: Pattern, seconds: number): Promise<Sighting> {
  return console.expect(pattern, Math.min(deadline, Date.now() + seconds * 1000), signal);
}

function stopped({ outcome }: Pick<Sighting, "outcome">): string | undefined {
  return outcome === "ended" || outcome === "panic" ? "the machine stopped" : undefined;
}

/** Logs in. The console may have shown its prompt long ago: an empty line makes it come again. */
async function logIn(terminal: Terminal, session: Session): Promise<Outcome<{ readonly in: true }>> {
  for (let shown: Sighting["outcome"] = "late"; shown !== "seen";) {
    terminal.type("\n");
    shown = (await wait(terminal, session, prompt, 10)).outcome;
    if (shown === "ended" || shown === "panic") return { refused: stopped({ outcome: "ended" })! };
    if (shown === "late" && Date.now() >= session.deadline) return { refused: `no "login:" on the serial console` };
  }
  // What was typed for somebody before may still be on its way to login(1), which then takes this name for a password and
  // asks for one anew; a prompt that merely answers the empty line is followed by the question for the password.
  let asked: Sighting = { outcome: "late" };
  for (let attempt = 0; attempt < 3 && asked.outcome === "late"; attempt++) {
    terminal.type(`${session.user}\n`);
    const first = await wait(terminal, session, { source: "password: ?$|(?<!last )login: ?$", flags: "i" }, 60);
    const again = first.outcome === "seen" && !/password: ?$/i.test(first.text);
    asked = again ? await wait(terminal, session, password, 10) : first;
    if (!again) break;
  }
  if (asked.outcome !== "seen") return { refused: stopped(asked) ?? `"${session.user}" was not asked for a password` };
  terminal.type(`${session.password}\n`);
  // Nothing is typed before the answer: login(1) would take it for the next name.
  const answer = await wait(terminal, session, { source: `${incorrect}|[$#%>] ?$`, flags: "" }, 6);
  if (answer.outcome === "seen" && !/[$#%>] ?$/.test(answer.text)) return { refused: "the password was not accepted" };
  // The words of the command are not those that it prints: its echo is no answer.
  terminal.type(" unset HISTFILE; stty -echo; printf 'IMGTASK_%s\\n' READY\n");
  const ready = await wait(terminal, session, { source: `IMGTASK_READY|${incorrect}`, flags: "" }, 90);
  if (ready.outcome === "seen" && ready.text.endsWith("IMGTASK_READY")) return { in: true };
  return { refused: stopped(ready) ?? (ready.outcome === "seen" ? "the password was not accepted" : "no shell after the password") };
}

/**
 * Runs a POSIX shell script in the guest and logs out. The script goes in and its output comes back as base64, line by
 * line: a terminal takes some characters for orders, and the kernel may print in between. What was garbled is asked for again.
 *
 * @returns its output, or why there is none.
 */
export async function runOverSerial(terminal: Terminal, session: Session, script: string): Promise<Outcome<{ readonly stdout: string }>> {
  const door = await logIn(terminal, session);
  if ("refused" in door) return door;
  try {
    // Each line is answered, so that no more is on its way than a terminal holds.
    terminal.type(" s=; while IFS= read -r l && [ \"$l\" != . ]; do s=$s$l; printf 'IMGTASK_%s\\n' NEXT; done; printf 'IMGTASK_%s\\n' WHOLE\n");
    for (const line of Buffer.from(script).toString("base64").match(/.{1,1000}/g) ?? []) {
      terminal.type(`${line}\n`);
      if ((await wait(terminal, session, "IMGTASK_NEXT", 60)).outcome !== "seen") return { refused: "the shell does not take what is typed" };
    }
    terminal.type(".\n");
    if ((await wait(terminal, session, "IMGTASK_WHOLE", 60)).outcome !== "seen") return { refused: "the shell does not take what is typed" };
    terminal.type(" a=$(printf %s \"$s\" | base64 -d | sh 2>/dev/null | base64 | tr -d '\\n'); printf 'IMGTASK_%s\\n' DONE\n");
    const done = await wait(terminal, session, "IMGTASK_DONE", Math.max(1, (session.deadline - Date.now()) / 1000));
    if (done.outcome !== "seen") return { refused: stopped(done) ?? "no answer within the time limit" };
    for (let attempt = 0; attempt < 3; attempt++) {
      terminal.type(" printf '\\n'; printf %s \"$a\" | fold -w 76 | sed 's/^/=/'; printf '\\nIMGTASK_SUM %s.\\n' \"$(printf %s \"$a\" | sha256sum | cut -c1-64)\"\n");
      const answer = await terminal.console.until({ source: "IMGTASK_SUM ([0-9a-f]{64})\\.", flags: "" }, session.deadline, session.signal);
      if (answer === undefined) return { refused: "no answer within the time limit" };
      const text = [...answer.text.matchAll(/^=([A-Za-z0-9+/=]*)$/gm)].map(([, part]) => part).join("");
      if (createHash("sha256").update(text).digest("hex") === answer.match[1]) return { stdout: Buffer.from(text, "base64").toString("utf8") };
    }
    return { refused: "what comes back is garbled: something else writes to the console" };
  } finally {
    terminal.type(" exit\n");
  }
}
