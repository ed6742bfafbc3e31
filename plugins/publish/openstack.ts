/**
 * Publishes as images of an OpenStack cloud: hidden until the bytes that it has are compared.
 * Knows nothing of what is in an image but what it is told.
 * @module
 */
import { checkOptions, fit, type Fits, type ImageFormat, type ImagePublisher, proxyVariables, type Secret, secret, type Source } from "../../lib/mod.ts";
import { badOption } from "./failure.ts";
import { markReads } from "./mark.ts";
import { type Access, authFits, openSession, type OpenstackAuth } from "./openstack-session.ts";
import { publishImages } from "./openstack-images.ts";
import { caFit } from "./rest.ts";

export type { OpenstackAuth } from "./openstack-session.ts";

/** What `openstack()` takes. Nothing is read of `clouds.yaml`. */
export interface OpenstackOptions {
  /** URL of Keystone, with or without `/v3`. @default OS_AUTH_URL */
  readonly authUrl?: string;
  /** @default an application credential, from OS_APPLICATION_CREDENTIAL_ID and OS_APPLICATION_CREDENTIAL_SECRET */
  readonly auth?: OpenstackAuth;
  /** @default OS_REGION_NAME, or the first that the catalogue has */
  readonly region?: string;
  /** Which address of the image service is taken from the catalogue. @default OS_INTERFACE, or "public" */
  readonly interface?: "public" | "internal" | "admin";
  /** URL of the image service. @default OS_IMAGE_ENDPOINT_OVERRIDE, or the one in the catalogue */
  readonly endpoint?: string;
  /** A file with certificates, PEM, of authorities that are trusted beside those of Node.js: `source("config/ca.pem")`. @default none */
  readonly ca?: Source | string;
  /**
   * Name of the image: letters, digits, ".", "_", "+", "@", "=", "-". For a publication of one image.
   * @default as files are called: "disk-debian.qcow2"
   */
  readonly name?: string;
  /** Who sees it in the end. `public` needs the right to it. @default "private" */
  readonly visibility?: "private" | "shared" | "community" | "public";
  /**
   * What becomes of an image of this name with other bytes, of the same project: it is hidden, so that machines made of it can
   * be rebuilt, or deleted. @default neither: publishing is refused
   */
  readonly replace?: "hide" | "delete";
  /** Properties for Nova and others: `{ hw_firmware_type: "uefi" }`. What is known of the image is there without. @default {} */
  readonly properties?: Readonly<Record<string, string>>;
}

const takes: readonly ImageFormat[] = ["qcow2", "raw", "vmdk", "vhd", "vhdx", "iso"];
const methods = Object.keys(authFits);
const fits: Fits<OpenstackOptions> = {
  authUrl: fit.text,
  auth: fit.by(`an object with "method": ${methods.map((one) => `"${one}"`).join(", ")}`, fit.isObject),
  region: fit.text,
  interface: fit.text,
  endpoint: fit.text,
  ca: caFit,
  name: fit.text,
  visibility: fit.text,
  replace: fit.text,
  properties: fit.record,
};
/** Where it is published to; the others say who does. */
const placeVariables = [
  "OS_AUTH_URL", "OS_REGION_NAME", "OS_INTERFACE", "OS_IMAGE_ENDPOINT_OVERRIDE", "OS_PROJECT_ID", "OS_PROJECT_NAME", "OS_PROJECT_DOMAIN_ID", "OS_PROJECT_DOMAIN_NAME",
  "OS_APPLICATION_CREDENTIAL_ID",
] as const;
const userVariables = ["OS_USERNAME", "OS_USER_DOMAIN_ID", "OS_USER_DOMAIN_NAME"] as const;

function check(options: OpenstackOptions): void {
  checkOptions("openstack()", options, fits);
  const { authUrl, auth, endpoint, region, interface: way, visibility, replace, name, properties = {}, ca } = options;
  const bad = (option: keyof OpenstackOptions, expected: string): never => {
    throw badOption("openstack", option, options[option], expected);
  };
  for (const [option, url] of [["authUrl", authUrl], ["endpoint", endpoint]] as const) {
    if (url === undefined) continue;
    if (!/^https?:\/\/[^/@?#\s]+(?:\/[A-Za-z0-9._~-]+)*\/?$/.test(url) || !URL.canParse(url)) bad(option, "an http or https URL without user, password and query");
    if (auth?.method !== "none" && url.startsWith("http:") && !/^http:\/\/(?:localhost|127(?:\.\d+){3}|\[::1\])(?:[:/]|$)/.test(url)) bad(option, "an https URL: credentials go there");
  }
  if (auth !== undefined) checkOptions('"auth" of openstack()', { method: auth.method }, { method: fit.needed(fit.word(...methods)) });
  if (auth?.method === "none" && endpoint === undefined) bad("endpoint", "the URL of Glance, where there is no Keystone");
  if (auth !== undefined) checkOptions('"auth" of openstack()', auth, authFits[auth.method]);
  if (region !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._ -]*$/.test(region)) bad("region", "the name of a region");
  if (way !== undefined && !["public", "internal", "admin"].includes(way)) bad("interface", `"public", "internal" or "admin"`);
  if (visibility !== undefined && !["private", "shared", "community", "public"].includes(visibility)) bad("visibility", `"private", "shared", "community" or "public"`);
  if (replace !== undefined && !["hide", "delete"].includes(replace)) bad("replace", `"hide" or "delete"`);
  if (name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._+@=-]{0,199}$/.test(name)) bad("name", `letters, digits, ".", "_", "+", "@", "=", "-", beginning with a letter or digit; 200 at most`);
  if (ca === "") bad("ca", 'source("config/ca.pem") or the path of such a file');
  for (const [key, value] of Object.entries(properties)) {
    if (!/^[a-z][a-z0-9_]{0,254}$/.test(key) || /^(?:imgtask_.*|id|name|status|visibility|protected|os_hidden|os_hash_.*|owner|size|checksum|min_disk|min_ram|disk_format|container_format|tags|file|schema|self|stores|locations|direct_url)$/.test(key) || typeof value !== "string") {
      throw badOption("openstack", "properties", { [key]: value }, "names of lower-case letters, digits and \"_\" that Glance and imgtask do not use themselves, with texts");
    }
  }
}

/** The handles that a way to log in needs, by the publisher's names for them. */
function secretsOf(auth: OpenstackAuth = { method: "application-credential" }): Readonly<Record<string, Secret>> {
  switch (auth.method) {
    case "application-credential": return { openstackSecret: auth.secret ?? secret.env("OS_APPLICATION_CREDENTIAL_SECRET") };
    case "password": return { openstackPassword: auth.password ?? secret.env("OS_PASSWORD") };
    case "token": return { openstackToken: auth.token ?? secret.env("OS_TOKEN") };
    default: return {};
  }
}

/** What of the way to log in is no secret, as parameters. */
function authParams(auth: OpenstackAuth): Readonly<Record<string, string>> {
  const { method } = auth;
  const { id, user, userDomain, project, projectDomain } = auth as Readonly<Record<string, unknown>>;
  return Object.fromEntries(Object.entries({ auth: method, id, user, userDomain, project, projectDomain }).filter((one): one is [string, string] => typeof one[1] === "string"));
}

/**
 * Publishes as images of OpenStack (Glance, Image API v2).
 *
 * An image is made hidden, and is shown under its name when the cloud has all of it and the digest that the cloud computed is
 * that of the bytes that were sent. Images of a publication are shown when all of them are there. An image of the name with the
 * same bytes is not sent again, also when it is a hidden one of an earlier publication; one with other bytes is refused, or
 * replaced where `replace` says how: between the two there is for a moment none. A run that was killed leaves a hidden image,
 * with the property `imgtask_sending`, which the next run on this host goes on with or deletes.
 *
 * Each image has the properties `imgtask_sha256`, `imgtask_target`, `imgtask_commit`, and `imgtask_signature` where the
 * publication is signed; `os_distro`, `os_version` and `architecture` where these are known; and `min_disk` of a qcow2, raw or VHD
 * image.
 *
 * @throws {ImgtaskError} IMG2520 for bad options; when it runs, IMG3521 and IMG3523 for credentials that are wrong or may not,
 * IMG3522 for a quota, IMG3524 for what the cloud lacks, IMG3527 for an image that is not replaced, IMG3540 for an address without
 * TLS, IMG506x for the network.
 *
 * @example
 * ```ts
 * import { openstack } from "imgtask/plugins/publish/openstack";
 *
 * publish("cloud", { artifacts: [debianDisk], tests: [debianTest], to: openstack({ name: "debian-12", replace: "hide" }) });
 * ```
 */
export function openstack(options: OpenstackOptions = {}): ImagePublisher {
  check(options);
  const { authUrl, auth = { method: "application-credential" }, region, interface: way, endpoint, ca, name, visibility = "private", replace, properties = {} } = options;
  const access: Access = { authUrl, auth, region, interface: way, endpoint, ca };
  const caPath = typeof ca === "object" ? ca.path : ca;
  const given = { authUrl, region, interface: way, endpoint, ca: caPath, name, replace };
  return Object.freeze({
    name: "openstack",
    params: {
      ...authParams(auth), visibility,
      ...Object.fromEntries(Object.entries(given).filter((one): one is [string, string] => one[1] !== undefined)),
      ...Object.fromEntries(Object.entries(properties).map(([key, value]) => [`property ${key}`, value])),
    },
    tools: [],
    env: placeVariables,
    untracked: { env: [...proxyVariables, ...userVariables], reads: [...markReads, ...(caPath === undefined ? [] : [caPath])] },
    secrets: secretsOf(auth),
    module: import.meta.url,
    takes,
    ...(name === undefined ? {} : { nameOf: () => name }),
    async publish(images, context) {
      const session = await openSession(access, context);
      return await publishImages(images, { session, visibility, replace, properties, context });
    },
  } satisfies ImagePublisher);
}
