/**
 * One request and its answer, from the first check to the line in the log. The order of the checks:
 * form and origin, token (401), route (404), permission (403), limits (429), input (422).
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { performance } from "node:perf_hooks";
import { toSpacesError } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import type { Actor } from "../contract/permissions.js";
import { requirePermission } from "../engine/context.js";
import type { KeyedCall } from "../engine/kept-answers.js";
import type { Place } from "./admission.js";
import { API_PREFIX, type Operation } from "./api.js";
import { bytesOf, hasBody, readJson } from "./body.js";
import { callerOf, checkHeaders, identify, requestIdOf, targetOf } from "./gate.js";
import { keyOf, requestHash } from "./idempotency.js";
import { traceOf } from "./log.js";
import { MCP_PATH } from "./mcp-endpoint.js";
import { answerPage, isPage } from "./pages.js";
import type { ServerParts } from "./parts.js";
import { problemAnswer, sendProblem } from "./problem.js";
import { checkQuery } from "./query.js";

/** What becomes known of a request while it is answered; the log tells it. */
interface Known {
  readonly requestId: string;
  path: string;
  actor?: Actor;
  operation?: Operation;
  error?: SpacesError;
}

/** Errors that are told before anything was done: the idempotency key is free again. */
const NOTHING_DONE: ReadonlySet<string> = new Set(["INVALID_INPUT", "PERMISSION_DENIED"]);

/** Answers a request, whatever it is. Never throws. */
export async function answerRequest(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const began = performance.now();
  const known: Known = { requestId: requestIdOf(request), path: "" };
  response.setHeader("x-request-id", known.requestId);
  response.setHeader("x-content-type-options", "nosniff");
  response.setHeader("cache-control", "no-store");
  response.setHeader("referrer-policy", "no-referrer");
  response.setHeader("cross-origin-resource-policy", "same-origin");
  if (parts.isDraining()) response.setHeader("connection", "close");
  // Who asks and reads no answer holds a connection, and an answer that is whole holds memory. Node
  // counts as progress whatever the system has taken.
  response.once("prefinish", () => response.setTimeout(parts.limits.answerStallMs));
  response.once("close", () => writeLog(parts, request, response, known, began));
  try {
    await answer(parts, request, response, known);
  } catch (failure) {
    fail(parts, request, response, known, failure);
  }
}

async function answer(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  known: Known,
): Promise<void> {
  const target = targetOf(request);
  known.path = target.pathname;
  checkHeaders(request, parts.limits.headerCount);
  parts.origins.check(request);
  if (parts.origins.share(request, response)) return;
  if (isPage(target.pathname)) {
    await answerPage(parts, request, response, target.pathname);
    return;
  }
  if (parts.isDraining()) throw new SpacesError("SHUTTING_DOWN");
  known.actor = await identify(parts, request);
  known.operation = await operationOf(parts, request, target);
  // Who has gone meanwhile is told nothing, and what it would hold until then would be held for ever.
  if (response.closed) return;
  const counted = parts.metrics.begin(known.operation.name, known.operation.isStream);
  response.once("close", () => counted(resultOf(response, known)));
  if (target.pathname === MCP_PATH) {
    // What each of its calls needs is checked where it is made.
    await parts.mcp.answer(request, response, known.actor);
    return;
  }
  requirePermission(known.actor, known.operation.permission);
  await answerCall(parts, request, response, {
    requestId: known.requestId,
    actor: known.actor,
    operation: known.operation,
    target,
  });
}

/** How an operation ended, as metrics tell it. */
function resultOf(response: ServerResponse, { error }: Known): string {
  if (error !== undefined) return error.code;
  return response.writableFinished ? "ok" : "CANCELLED";
}

async function operationOf(
  parts: ServerParts,
  request: IncomingMessage,
  target: URL,
): Promise<Operation> {
  const { pathname } = target;
  if (pathname === MCP_PATH) return parts.mcp.operation(request.method ?? "");
  const operation = pathname.startsWith(`${API_PREFIX}/`)
    ? await parts.api.find(request.method ?? "", pathname.slice(API_PREFIX.length))
    : undefined;
  if (operation !== undefined) return operation;
  throw new SpacesError("NOT_FOUND", `There is no ${request.method} ${pathname.slice(0, 200)}.`);
}

interface Call {
  readonly requestId: string;
  readonly actor: Actor;
  readonly operation: Operation;
  readonly target: URL;
}

async function answerCall(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  { requestId, actor, operation, target }: Call,
): Promise<void> {
  const place = parts.admission.enter(actor, operation.isStream ? "streams" : "calls");
  response.once("close", () => place[Symbol.dispose]());
  checkQuery(target.searchParams, operation);
  const key = keyOf(request, operation);
  const { body, bytes } = await readBody(parts, { request, response, operation, place });
  let keyed: KeyedCall | undefined;
  if (key !== undefined) {
    const begun = await parts.answers.begin(callerOf(actor), key, requestHash(request, bytes));
    if ("status" in begun) {
      response.setHeader("idempotency-replayed", "true");
      const type = begun.status < 400 ? "application/json" : "application/problem+json";
      response.writeHead(begun.status, { "content-type": type }).end(begun.body);
      return;
    }
    keyed = begun;
  }
  if (operation.isStream) response.setHeader("x-accel-buffering", "no");
  const over = new AbortController();
  const watch = parts.host.engine.identity.watch(actor, over);
  const close = (): void => {
    watch[Symbol.dispose]();
    if (!response.writableFinished) over.abort();
  };
  if (response.closed) close();
  else response.once("close", close);
  const called = {
    method: request.method ?? "",
    url: target,
    headers: request.headers,
    body,
    signal: over.signal,
  };
  const context = { actor, depth: 0, local: false, requestId, operation, keep: keyed?.keep };
  try {
    await parts.api.answer(called, response, context);
  } catch (failure) {
    if (keyed !== undefined && !response.headersSent) {
      const { error, body } = problemAnswer(failure, { requestId, instance: target.pathname });
      if (NOTHING_DONE.has(error.code)) await keyed.free();
      else await keyed.keep({ status: error.status, body });
    }
    throw failure;
  }
}

/** Reads the body of a call. @returns what the call is given, and its bytes where it is JSON */
async function readBody(
  { limits }: ServerParts,
  {
    request,
    response,
    operation,
    place,
  }: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly operation: Operation;
    readonly place: Place;
  },
): Promise<{ readonly body: unknown; readonly bytes: Buffer }> {
  // Who waits to be asked for the body is asked only now, when it is wanted.
  if (request.headers.expect !== undefined) response.writeContinue();
  if (operation.takesBytes) return { body: bytesOf(request, limits), bytes: Buffer.alloc(0) };
  if (operation.inQuery && hasBody(request)) {
    throw new SpacesError("INVALID_INPUT", "The body is not read: the input is in the query.");
  }
  const { bytes, value } = await readJson(request, limits, (part) => place.hold(part));
  return { body: value, bytes };
}

function fail(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  known: Known,
  failure: unknown,
): void {
  if (response.headersSent || response.destroyed) {
    known.error = toSpacesError(failure);
    response.destroy();
    return;
  }
  // Nothing more is read from who has not said who it is.
  if (known.actor === undefined) response.setHeader("connection", "close");
  known.error = sendProblem(request, response, failure, {
    requestId: known.requestId,
    instance: known.path === "" ? undefined : known.path,
  });
  if (known.error.status >= 500 && known.error.cause !== undefined) {
    parts.log.error({ requestId: known.requestId, err: known.error.cause }, known.error.message);
  }
}

function writeLog(
  parts: ServerParts,
  request: IncomingMessage,
  response: ServerResponse,
  { requestId, path, actor, operation, error }: Known,
  began: number,
): void {
  if (!parts.log.isLevelEnabled("info")) return;
  const aborted = !response.writableFinished;
  const name = operation?.name;
  parts.log.info(
    {
      requestId,
      ...traceOf(request.headers.traceparent),
      method: request.method,
      path,
      operation: name,
      actor: actor?.id,
      status: response.headersSent ? response.statusCode : undefined,
      code: error?.code,
      durationMs: Math.round((performance.now() - began) * 10) / 10,
      ...(aborted ? { aborted } : {}),
    },
    "request",
  );
}
