/**
 * How errors look over HTTP: RFC 9457 problems with the registry's code, and the same fields within
 * event streams. The remote binding turns both back into a `SpacesError`.
 */
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import { ORPCError } from "@orpc/server";
import { toSpacesError } from "../bindings/in-process.js";
import type { ErrorCode, SpacesError } from "../contract/errors.js";

interface Problem {
  /** A stable URN of the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly requestId: string;
  readonly suggestion: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** The path that was asked for. */
  readonly instance?: string;
}

const PROBLEM_TYPE = "application/problem+json";

interface Where {
  readonly requestId: string;
  /** The path that was asked for. */
  readonly instance?: string | undefined;
  /** Another status than the registry's, for what was not even HTTP. */
  readonly status?: number;
}

/** The body of an error's answer. */
function problemOf(
  error: SpacesError,
  { requestId, instance, status = error.status }: Where,
): Problem {
  return {
    type: `urn:spaces:error:${error.code.toLowerCase().replaceAll("_", "-")}`,
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: error.message,
    code: error.code,
    requestId,
    suggestion: error.suggestion,
    details: error.details,
    ...(instance === undefined ? {} : { instance }),
  };
}

/** The error in the form in which event streams carry it. */
export function streamError(failure: unknown, requestId: string): ORPCError<string, unknown> {
  const error = toSpacesError(failure);
  return new ORPCError(error.code, {
    status: error.status,
    message: error.message,
    data: { suggestion: error.suggestion, details: error.details, requestId },
    cause: error,
  });
}

/** The head and the body of an error's answer. */
export function problemAnswer(
  failure: unknown,
  where: Where,
): {
  readonly error: SpacesError;
  readonly headers: Record<string, string>;
  readonly body: string;
} {
  const error = toSpacesError(failure);
  const body = JSON.stringify(problemOf(error, where));
  const headers: Record<string, string> = {
    "content-type": PROBLEM_TYPE,
    "content-length": String(Buffer.byteLength(body)),
  };
  if (error.code === "UNAUTHENTICATED") headers["www-authenticate"] = 'Bearer realm="spaces"';
  const { retryAfterMs } = error.details;
  if (typeof retryAfterMs === "number") {
    headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  }
  return { error, headers, body };
}

/** Milliseconds for which the rest of a body is thrown away, so that its sender reads the answer. */
const LINGER_MS = 2_000;

/**
 * Sends an error's answer. Where the request has not come whole, the connection is closed behind it.
 * @returns the error that was told
 */
export function sendProblem(
  request: IncomingMessage,
  response: ServerResponse,
  failure: unknown,
  where: Where,
): SpacesError {
  const { error, headers, body } = problemAnswer(failure, where);
  if (request.complete) {
    response.writeHead(error.status, headers).end(body);
    return error;
  }
  response.writeHead(error.status, { ...headers, connection: "close" }).write(body);
  const timer = setTimeout(() => response.end(), LINGER_MS);
  request.once("close", () => clearTimeout(timer));
  request.once("end", () => response.end());
  request.once("error", () => response.destroy());
  request.resume();
  return error;
}
