/**
 * How errors look over HTTP: RFC 9457 problems with the registry's code, and the same fields within
 * event streams. The remote binding turns both back into a `SpacesError`.
 */
import { STATUS_CODES } from "node:http";
import { ORPCError } from "@orpc/server";
import { toSpacesError } from "../bindings/in-process.js";
import type { ErrorCode, SpacesError } from "../contract/errors.js";

export interface Problem {
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

export const PROBLEM_TYPE = "application/problem+json";

/** The body of an error's answer. */
export function problemOf(
  error: SpacesError,
  { requestId, instance }: { readonly requestId: string; readonly instance?: string | undefined },
): Problem {
  return {
    type: `urn:spaces:error:${error.code.toLowerCase().replaceAll("_", "-")}`,
    title: STATUS_CODES[error.status] ?? "Error",
    status: error.status,
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
