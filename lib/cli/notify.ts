/**
 * Tells people that a run failed, where they asked for it: at a webhook, in Slack. Words are in `report/notice.ts`.
 * @module
 */
import { ExitCode, ImgtaskError } from "../error.ts";
import type { Event, Listener } from "../event.ts";
import { protect, redact } from "../redact.ts";
import { type Failure, jobPage, notice, slackMessage } from "../report/notice.ts";
import { hideSecrets } from "./hide.ts";

/** Milliseconds for a notice; a run that failed shall end. */
const patience = 10_000;

const places = { IMGTASK_NOTIFY_WEBHOOK: notice, IMGTASK_NOTIFY_SLACK: slackMessage } as const;

/** Collects what failed, and tells it at the end. */
export interface Notifier {
  on(event: Event): void;
  /** Sends the notices, if anything failed. What could not be sent is a warning. */
  send(directory: string, on: Listener): Promise<void>;
}

/**
 * A notifier for the places that the environment names, or `undefined` when it names none. The addresses are secrets:
 * they leave the environment, so that neither the imagefile nor a recipe sees them.
 *
 * @throws {ImgtaskError} IMG2037 for what is no address.
 */
export function openNotifier(env: NodeJS.ProcessEnv): Notifier | undefined {
  const asked = Object.entries(places).flatMap(([name, words]) => {
    const address = env[name] ?? "";
    delete env[name];
    if (address === "") return [];
    if (!URL.canParse(address) || !/^https?:$/.test(new URL(address).protocol)) {
      throw new ImgtaskError("IMG2037", `${name} is no address of a webhook`, { expected: "an http: or https: URL", exitCode: ExitCode.usage });
    }
    return [{ name, address, words }];
  });
  if (asked.length === 0) return undefined;
  protect(asked.map(({ address }) => address));
  hideSecrets();
  const url = jobPage(env);
  const failures: Failure[] = [];
  return {
    on(event) {
      if (event.type === "target failed") failures.push({ target: event.target, duration: event.duration, error: event.error, log: event.log });
    },
    async send(directory, on) {
      if (failures.length === 0) return;
      await Promise.all(asked.map(async ({ name, address, words }) => {
        // Secrets of other targets may stand in what a recipe without secrets printed.
        const body = redact(JSON.stringify(words({ directory, failures, url })));
        try {
          const answer = await fetch(address, { method: "POST", headers: { "content-type": "application/json" }, body, redirect: "error", signal: AbortSignal.timeout(patience) });
          if (!answer.ok) throw new Error(`the answer was ${answer.status}`);
        } catch (error) {
          const { cause } = error as { cause?: { code?: string; message?: string } };
          const why = cause?.code ?? cause?.message ?? (error as Error).message;
          on({ type: "warning", code: "IMG6007", message: redact(`The notice of the failure was not sent: ${why}`), hint: `The address is in ${name}` });
        }
      }));
    },
  };
}
