/**
 * Asks for the security notices that concern a medium or an image; one file a format beside this one. Loaded only when
 * somebody asks. Knows no distribution by name.
 * @module
 */
import type { Keyring, NoticeAnswer, NoticeSource } from "../../lib/mod.ts";
import { answering } from "./answer.ts";
import type { AskContext } from "./fetch.ts";
import type { Subject } from "./present.ts";
import { imageSubject, rootfsSubject } from "./subject.ts";

/**
 * Asks where a distribution publishes notices.
 *
 * @param what what `verify` or `rootfs` made.
 * @param trust keys that may vouch for them.
 * @returns an answer from each place: notices, or why there are none. Never throws for what cannot be had.
 */
export async function askNotices(source: NoticeSource, what: "image" | "rootfs", trust: Keyring, context: AskContext): Promise<readonly NoticeAnswer[]> {
  if (source.format === "none") return [{ source: "none", state: "unpublished", why: source.why }];
  const subject = what === "image" ? await imageSubject(context) : await rootfsSubject(context);
  return answering(placeOf(source), context, () => ask(source, subject, trust, context));
}

async function ask(source: Exclude<NoticeSource, { format: "none" }>, subject: Subject, trust: Keyring, context: AskContext): Promise<readonly NoticeAnswer[]> {
  switch (source.format) {
    case "updateinfo":
      return (await import("./repositories.ts")).repositoryNotices(source, subject, trust, context);
    case "debian":
      return (await import("./debian.ts")).debianNotices(source, subject, trust, context);
    case "usn":
      return (await import("./usn.ts")).ubuntuNotices(source, subject, context);
    case "redhat":
      return (await import("./redhat.ts")).redhatNotices(source, subject, context);
  }
}

function placeOf(source: Exclude<NoticeSource, { format: "none" }>): string {
  return source.format === "updateinfo" ? `${source.mirrors[0] ?? source.env}/${source.repositories[0] ?? ""}` : source.url;
}
