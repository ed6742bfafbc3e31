/**
 * Security notices of distributions: what a notice is, and what was found out of those that concern a target. Data only:
 * where they are published stands with the media, how they are fetched, checked and read in `plugins/notices/`.
 * @module
 */
/** How grave a distribution calls it, in the words of the CVSS ratings that most of them use. */
export type Severity = "critical" | "important" | "moderate" | "low";

/** A package that a notice speaks of. */
export interface NoticePackage {
  readonly name: string;
  /** First version without the flaw. @default the notice does not say */
  readonly fixed?: string;
  /** Version that is on the medium or in the image. @default it is not known what is there */
  readonly found?: string;
  /** Module stream of RPM that the notice speaks of, `nodejs:18`. @default the package is of no module */
  readonly stream?: string;
  /** What is there is of some stream of a module, and nothing says of which: the notice may be about another one. @default it is known */
  readonly unsure?: true;
}

/** A security notice. */
export interface Notice {
  /** The distribution's own: `RLSA-2026:1234`, `DSA-6410-1`, `USN-8620-4`. */
  readonly id: string;
  /** @default the distribution does not rate it */
  readonly severity?: Severity;
  /** One line. */
  readonly title?: string;
  /** Day on which it was issued: `2026-11-20`. @default not published */
  readonly date?: string;
  readonly packages: readonly NoticePackage[];
  /** `CVE-2026-1234`, sorted. */
  readonly cves: readonly string[];
  /** Page for people; made of the id, never taken from what was fetched. */
  readonly link: string;
}

/**
 * What vouches for notices: a signature of a pinned key, or only the connection (TLS: that it came from that host), or
 * nothing.
 */
export type NoticeTrust = "signed" | "tls" | "none";

/** What one place says of a target's media or packages. */
export interface NoticeReport {
  /** Where it was asked, without user name and password. */
  readonly source: string;
  readonly trust: NoticeTrust;
  /** Who signed. */
  readonly signer?: string;
  /** Chosen by the versions of packages that are there; or, where these are not known, by the day that the media were made. */
  readonly basis: "packages" | "date";
  /** Of a choice by date: later ones concern it. */
  readonly since?: string;
  /** Number of packages that were compared. */
  readonly packages?: number;
  readonly notices: readonly Notice[];
}

/** Nothing can be said, and why. */
export interface NoNotices {
  readonly source: string;
  /** The distribution publishes none; or there are some, and they could not be had. */
  readonly state: "unpublished" | "unavailable";
  readonly why: string;
  /** Of the error. @default it is none */
  readonly code?: string;
}

/** One answer to the question for notices. */
export type NoticeAnswer = NoticeReport | NoNotices;
