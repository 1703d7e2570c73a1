/** What the server answers beside the contract: health, metrics, the OpenAPI document, its reference. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { sql } from "kysely";
import { SpacesError } from "../contract/errors.js";
import { requirePermission } from "../engine/context.js";
import { VERSION } from "../version.js";
import { identify } from "./gate.js";
import { isLoopback } from "./origins.js";
import type { ServerParts } from "./parts.js";

type Page = (parts: ServerParts, request: IncomingMessage) => Promise<PageAnswer>;

interface PageAnswer {
  readonly status?: number;
  readonly type: string;
  readonly body: string | Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_TYPE = "application/json";

/**
 * A page that is the same for everybody, made once for each server: who may ask without a token must
 * cost next to nothing, and many answers at once share the bytes.
 */
function madeOnce(make: Page): Page {
  const made = new WeakMap<ServerParts, Promise<PageAnswer>>();
  const bytes = async (parts: ServerParts, request: IncomingMessage): Promise<PageAnswer> => {
    const page = await make(parts, request);
    return { ...page, body: Buffer.from(page.body) };
  };
  return async (parts, request) => {
    const page = made.get(parts) ?? bytes(parts, request);
    made.set(parts, page);
    return await page;
  };
}

const PAGES: ReadonlyMap<string, Page> = new Map<string, Page>([
  ["/livez", async () => ({ type: "text/plain; charset=utf-8", body: "ok\n" })],
  [
    "/readyz",
    async (parts) => {
      if (parts.isDraining()) throw new SpacesError("SHUTTING_DOWN");
      await checkStore(parts);
      return { type: "text/plain; charset=utf-8", body: "ok\n" };
    },
  ],
  [
    "/health",
    async (parts) => {
      const store = await checkStore(parts).then(
        () => true,
        () => false,
      );
      const draining = parts.isDraining();
      const ok = store && !draining;
      const body = { status: ok ? "ok" : "unavailable", version: VERSION, store, draining };
      return { status: ok ? 200 : 503, type: JSON_TYPE, body: JSON.stringify(body) };
    },
  ],
  [
    "/metrics",
    async (parts, request) => {
      if (!isLocal(parts, request)) {
        requirePermission(await identify(parts, request), "ViewAudit");
      }
      return { type: parts.metrics.contentType, body: await parts.metrics.text() };
    },
  ],
  [
    "/openapi.json",
    madeOnce(async ({ publicUrl }) => {
      const { openApiText } = await import("./openapi.js");
      return { type: JSON_TYPE, body: await openApiText(publicUrl) };
    }),
  ],
  [
    "/docs",
    madeOnce(async ({ publicUrl }) => {
      const [{ referencePage, REFERENCE_POLICY }, { openApiDocument }] = await Promise.all([
        import("./reference-page.js"),
        import("./openapi.js"),
      ]);
      return {
        type: "text/html; charset=utf-8",
        body: referencePage(await openApiDocument(publicUrl)),
        headers: { "content-security-policy": REFERENCE_POLICY, "x-frame-options": "DENY" },
      };
    }),
  ],
]);

/** Whether a path is one of the pages. */
export function isPage(path: string): boolean {
  return PAGES.has(path);
}

/**
 * Answers one of the pages.
 * @throws SpacesError `NOT_FOUND` for other methods than GET and HEAD; `UNAUTHENTICATED` and
 *   `PERMISSION_DENIED` for metrics; `SHUTTING_DOWN` and `STORE_UNAVAILABLE` for readiness
 */
export async function answerPage(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
): Promise<void> {
  const page = PAGES.get(path);
  if (page === undefined || (request.method !== "GET" && request.method !== "HEAD")) {
    throw new SpacesError("NOT_FOUND", `There is no ${request.method} ${path}.`);
  }
  const { status = 200, type, body, headers } = await page(parts, request);
  response.writeHead(status, {
    "content-type": type,
    "content-length": String(Buffer.byteLength(body)),
    ...headers,
  });
  response.end(body);
}

async function checkStore({ host }: ServerParts): Promise<void> {
  try {
    await sql`select 1`.execute(host.engine.parts.store);
  } catch (cause) {
    throw new SpacesError("STORE_UNAVAILABLE", undefined, { cause });
  }
}

/** Whether a request comes from this machine itself, and not through a proxy on it. */
function isLocal({ publicUrl }: ServerParts, { socket, headers }: IncomingMessage): boolean {
  const isForwarded =
    publicUrl !== undefined ||
    headers.forwarded !== undefined ||
    headers.via !== undefined ||
    Object.keys(headers).some((name) => name.startsWith("x-forwarded-"));
  const { remoteAddress } = socket;
  if (isForwarded) return false;
  return remoteAddress === undefined || isLoopback(remoteAddress.replace(/^::ffff:/, ""));
}
