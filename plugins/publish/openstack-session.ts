/**
 * Access to OpenStack: a token of Keystone (Identity API v3), and the image service of its catalogue. A token that ran
 * out while an image was sent is renewed. Knows no images.
 * @module
 */
import { fit, type Fits, type PublishContext, type Secret } from "../../lib/mod.ts";
import { busy, changedMeanwhile, clearText, credentialsRefused, missingThere, placeFull, said, unexpectedAnswer, writingDenied } from "./failure.ts";
import { type Body, json, parsed, type Reply, send, type Server, serverOf, type ServerOptions } from "./rest.ts";

/** How to log in. What is left out is taken from the environment, by the names that OpenStack's own clients use. */
export type OpenstackAuth =
  | {
      readonly method: "application-credential";
      /** @default OS_APPLICATION_CREDENTIAL_ID */
      readonly id?: string;
      /** @default the one in OS_APPLICATION_CREDENTIAL_SECRET */
      readonly secret?: Secret;
    }
  | {
      readonly method: "password";
      /** @default OS_USERNAME */
      readonly user?: string;
      /** Name of the user's domain. @default OS_USER_DOMAIN_NAME, or "Default" */
      readonly userDomain?: string;
      /** Name of the project. @default OS_PROJECT_NAME */
      readonly project?: string;
      /** Name of the project's domain. @default OS_PROJECT_DOMAIN_NAME, or "Default" */
      readonly projectDomain?: string;
      /** @default the one in OS_PASSWORD */
      readonly password?: Secret;
    }
  | {
      /** A token that somebody else asked for; it cannot be renewed. */
      readonly method: "token";
      /** @default the one in OS_TOKEN */
      readonly token?: Secret;
    }
  /** An image service without Keystone: needs `endpoint`. */
  | { readonly method: "none" };

type Methods = OpenstackAuth["method"];
/** Of each way to log in, what it takes. */
export const authFits: { readonly [Method in Methods]: Fits<Extract<OpenstackAuth, { readonly method: Method }>> } = {
  "application-credential": { method: fit.needed(fit.text), id: fit.text, secret: fit.secretHandle },
  password: { method: fit.needed(fit.text), user: fit.text, userDomain: fit.text, project: fit.text, projectDomain: fit.text, password: fit.secretHandle },
  token: { method: fit.needed(fit.text), token: fit.secretHandle },
  none: { method: fit.needed(fit.text) },
};

/** What leads to a cloud. */
export interface Access {
  /** Keystone's URL, with or without `/v3`; `undefined`: OS_AUTH_URL. */
  readonly authUrl: string | undefined;
  readonly auth: OpenstackAuth;
  readonly region: string | undefined;
  readonly interface: "public" | "internal" | "admin" | undefined;
  /** URL of the image service, instead of the one in the catalogue. */
  readonly endpoint: string | undefined;
  readonly ca: ServerOptions["ca"];
}

/** A request to the image service. */
export interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below the service's URL: `/v2/images`. */
  readonly path: string;
  /** Statuses that are answers and no failures. */
  readonly ok: readonly number[];
  readonly body?: () => Body;
}

/** A cloud that one is logged in to. */
export interface Session {
  readonly place: string;
  /** URL of the image service, without `/` at its end. */
  readonly images: string;
  /** Id of the project whose images are made; `undefined` without Keystone. */
  readonly project: string | undefined;
  call(call: Call): Promise<{ readonly status: number; readonly data: unknown }>;
}

/** Source: Identity API v3, "Authentication and token management". */
interface Token {
  readonly project?: { readonly id?: string };
  readonly catalog?: readonly { readonly type?: string; readonly endpoints?: readonly { readonly interface?: string; readonly region_id?: string; readonly region?: string; readonly url?: string }[] }[];
}

/** Without version and `/` at the end. */
const rootOf = (url: string): string => url.replace(/\/+$/, "").replace(/\/v\d+(?:\.\d+)?$/, "");

/** What credentials may be sent to: TLS, or this host. @throws {ImgtaskError} IMG3540 */
function checkUrl(url: string, what: string): string {
  const { protocol, hostname } = URL.canParse(url) ? new URL(url) : { protocol: "", hostname: "" };
  if (protocol === "https:" || (protocol === "http:" && /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname))) return url;
  throw clearText(what, { expected: "an https URL", found: said(`${protocol}//${hostname}`) });
}

/** One line of an error page: JSON of Keystone, HTML or JSON of Glance. */
function reasonOf({ status, text }: Reply): string {
  let told = text.replaceAll(/<(style|script|title)[^>]*>[^]*?<\/\1>/gi, " ").replaceAll(/<[^>]*>/g, " ");
  try {
    const { error, message } = JSON.parse(text) as { readonly error?: { readonly message?: string }; readonly message?: string };
    told = error?.message ?? message ?? text;
  } catch {
    // No JSON.
  }
  return said(`${status} ${told.replaceAll(/\s+/g, " ").trim()}`);
}

/** Tells what a refusal means. */
function failureOf(reply: Reply, place: string, ok: readonly number[]): Error {
  const found = reasonOf(reply);
  const { status } = reply;
  if (status === 401) return credentialsRefused(place, { found, hint: "Is the secret the one of this credential, and neither of them expired?" });
  if (status === 403) return writingDenied(place, { found, hint: "Images are made with the role member of the project; public ones need more" });
  if (status === 404) return missingThere(place, "what was asked for", { found, hint: "Is it the right URL and region?" });
  if (status === 409) return changedMeanwhile(place, { found });
  if (status === 413 || status === 507) return placeFull(place, { found, hint: "Look at the project's quota, and at the largest size of an image" });
  if (status === 408 || status === 429 || status >= 500) return busy(place, { found });
  return unexpectedAnswer(place, { expected: `status ${ok.join(" or ")}`, found });
}

/** The body of a request for a token. Source: Identity API v3, `POST /v3/auth/tokens`. */
function loginOf(auth: OpenstackAuth, place: string, { env, secrets }: Pick<PublishContext, "env" | "secrets">): unknown {
  const need = (value: string | undefined, variable: string): string => {
    if (value !== undefined && value !== "") return value;
    throw missingThere(place, "who logs in", { expected: variable, found: "nothing", hint: `Set ${variable}, or say it in \`auth\`` });
  };
  const domain = (name: string | undefined, kind: "USER" | "PROJECT"): object => {
    const given = name ?? env[`OS_${kind}_DOMAIN_NAME`];
    const id = env[`OS_${kind}_DOMAIN_ID`];
    return given === undefined && id !== undefined ? { id } : { name: given ?? "Default" };
  };
  if (auth.method === "application-credential") {
    const credential = { id: need(auth.id ?? env["OS_APPLICATION_CREDENTIAL_ID"], "OS_APPLICATION_CREDENTIAL_ID"), secret: secrets["openstackSecret"]!.trimEnd() };
    return { auth: { identity: { methods: ["application_credential"], application_credential: credential } } };
  }
  if (auth.method !== "password") return undefined;
  const user = { name: need(auth.user ?? env["OS_USERNAME"], "OS_USERNAME"), domain: domain(auth.userDomain, "USER"), password: secrets["openstackPassword"]!.trimEnd() };
  const id = auth.project === undefined ? env["OS_PROJECT_ID"] : undefined;
  const project = id === undefined ? { name: need(auth.project ?? env["OS_PROJECT_NAME"], "OS_PROJECT_NAME"), domain: domain(auth.projectDomain, "PROJECT") } : { id };
  return { auth: { identity: { methods: ["password"], password: { user } }, scope: { project } } };
}

/** The URL of the image service in a catalogue. */
function imagesIn({ catalog = [] }: Token, place: string, region: string | undefined, wanted: string): string {
  const all = catalog.filter(({ type }) => type === "image").flatMap(({ endpoints = [] }) => endpoints);
  const found = all.find((one) => one.interface === wanted && (region === undefined || (one.region_id ?? one.region) === region))?.url;
  if (found !== undefined) return found;
  throw missingThere(place, `an image service${region === undefined ? "" : ` in region "${region}"`} with a ${wanted} address`, {
    found: all.map((one) => `${one.interface ?? "?"} in ${one.region_id ?? one.region ?? "?"}`).join(", ") || "none in its catalogue",
    hint: "`region`, `interface` and `endpoint` say which one is meant",
  });
}

/**
 * Logs in.
 *
 * @throws {ImgtaskError} IMG3521 for wrong credentials, IMG3524 for what is not told or not there, IMG3540 for an address
 * without TLS, IMG506x for the network
 */
export async function openSession(access: Access, context: PublishContext): Promise<Session> {
  const { auth, endpoint } = access;
  const { env, secrets } = context;
  const given = auth.method === "none" ? endpoint : (access.authUrl ?? env["OS_AUTH_URL"] ?? "");
  if (given === undefined || given === "") throw missingThere("OpenStack", "an address", { expected: "OS_AUTH_URL", found: "nothing", hint: "Set OS_AUTH_URL, or say `authUrl`" });
  const place = `OpenStack at ${URL.canParse(given) ? new URL(given).host : "?"}`;
  if (auth.method === "none") {
    const server = serverOf({ url: given, ...(access.ca === undefined ? {} : { ca: access.ca }) }, place, context);
    return sessionOf({ server, place, images: rootOf(given), project: undefined, token: undefined, renew: undefined });
  }
  const identity = `${rootOf(checkUrl(given, "Keystone"))}/v3`;
  const server = serverOf({ url: given, ...(access.ca === undefined ? {} : { ca: access.ca }) }, place, context);
  const login = loginOf(auth, place, context);
  const authenticate = async (): Promise<{ readonly token: string; readonly body: Token }> => {
    const own = auth.method === "token" ? secrets["openstackToken"]!.trimEnd() : undefined;
    const headers: Record<string, string> = own === undefined ? {} : { "x-auth-token": own, "x-subject-token": own };
    const reply = await send(server, own === undefined ? "POST" : "GET", `${identity}/auth/tokens`, headers, own === undefined ? json(login) : undefined);
    if (reply.status !== 200 && reply.status !== 201) throw failureOf(reply, place, [201]);
    const { token: body } = (parsed(place, reply) ?? {}) as { readonly token?: Token };
    const token = own ?? reply.headers["x-subject-token"];
    if (typeof token !== "string" || body === undefined) throw unexpectedAnswer(place, { expected: "a token", found: "none", hint: "Is the URL the one of Keystone?" });
    return { token, body };
  };
  const { token, body } = await authenticate();
  const override = endpoint ?? env["OS_IMAGE_ENDPOINT_OVERRIDE"];
  const images = override ?? imagesIn(body, place, access.region ?? env["OS_REGION_NAME"], access.interface ?? (env["OS_INTERFACE"] ?? "public").replace(/URL$/, ""));
  checkUrl(images, "the image service");
  const renew = auth.method === "token" ? undefined : async () => (await authenticate()).token;
  return sessionOf({ server, place, images: rootOf(images), project: body.project?.id, token, renew });
}

interface Opened {
  readonly server: Server;
  readonly place: string;
  readonly images: string;
  readonly project: string | undefined;
  readonly token: string | undefined;
  readonly renew: (() => Promise<string>) | undefined;
}

function sessionOf({ server, place, images, project, token, renew }: Opened): Session {
  let current = token;
  const once = async ({ method, path, body }: Call): Promise<Reply> =>
    await send(server, method, `${images}${path}`, current === undefined ? {} : { "x-auth-token": current }, body?.());
  return {
    place, images, project,
    async call(call) {
      let reply = await once(call);
      if (reply.status === 401 && renew !== undefined) {
        current = await renew();
        reply = await once(call);
      }
      if (!call.ok.includes(reply.status)) throw failureOf(reply, place, call.ok);
      return { status: reply.status, data: reply.status === 204 || reply.text === "" ? undefined : parsed(place, reply) };
    },
  };
}
