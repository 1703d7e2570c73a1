/**
 * Turns what goes wrong on the way to a server, and what a server answers in place of a result, into
 * errors of the registry. The parts of the remote binding throw `RemoteFailure`; its client shows the
 * error in it.
 */
import { type ErrorCode, isErrorCode, SpacesError } from "../../contract/errors.js";
import { invalidInputOf } from "../invalid-input.js";

/** How much of a text of a server is shown. */
const SHOWN_CHARACTERS = 8192;
/** Of an answer that is no answer of spaces. */
const SHOWN_OF_FOREIGN = 200;

/** A failure, and what may be done about it. */
export class RemoteFailure extends Error {
  override readonly name = "RemoteFailure";
  readonly error: SpacesError;
  /** `unsent`: the server has seen nothing of it. `transient`: it may work a moment later. */
  readonly kind: "unsent" | "transient" | "final";
  /** Milliseconds that the server asks to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(error: SpacesError, kind: RemoteFailure["kind"], retryAfterMs?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.kind = kind;
    this.retryAfterMs = retryAfterMs;
  }
}

/** The error of the registry that a failure of a call is. */
export function spacesErrorOf(failure: unknown): SpacesError {
  if (failure instanceof RemoteFailure) return failure.error;
  if (SpacesError.isInstance(failure)) return failure;
  return invalidInputOf(failure) ?? new SpacesError("INTERNAL", undefined, { cause: failure });
}

/** Codes of failures at which no byte of a request has left. */
const UNSENT = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
  "EACCES",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENETDOWN",
  "CONNECT_TIMEOUT",
]);

/** What people read in place of a code. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "its name is not known",
  EAI_AGAIN: "its name cannot be looked up now",
  ENOENT: "there is no such socket",
  EACCES: "this user may not use it",
  ECONNRESET: "it ended the connection",
  EPIPE: "it ended the connection",
  ERR_STREAM_PREMATURE_CLOSE: "it ended the connection",
  EHOSTUNREACH: "there is no way to its host",
  ENETUNREACH: "there is no way to its network",
  ETIMEDOUT: "it does not answer",
  CONNECT_TIMEOUT: "it does not answer",
};

/** Failures of TLS, and what helps against each. */
const TLS_HINTS: readonly (readonly [RegExp, string])[] = [
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?)$/,
    "Trust the authority that signed its certificate: name its file in SPACES_CA_FILE.",
  ],
  [/^CERT_HAS_EXPIRED$/, "Its certificate has expired: renew it, and check the clock here."],
  [/^CERT_NOT_YET_VALID$/, "Its certificate is not valid yet: check the clock here."],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "Use a host name that its certificate is made for."],
  [
    /^(ERR_SSL_|EPROTO)/,
    "Check that it speaks TLS there: https:// and http:// are easily confused.",
  ],
  [/^(CERT_|ERR_TLS_)/, "Check its certificate."],
];

/**
 * What a failed connection means.
 * @param url the server's, as messages show it
 */
export function connectionFailure(url: string, cause: unknown): RemoteFailure {
  const { code, message } = causeOf(cause);
  const hint = TLS_HINTS.find(([pattern]) => pattern.test(code ?? ""))?.[1];
  const reason = (code === undefined ? undefined : REASONS[code]) ?? (message || "no reason given");
  const error = new SpacesError(
    "SERVER_UNREACHABLE",
    `The server ${url} cannot be reached: ${reason}${code === undefined ? "" : ` (${code})`}.`,
    {
      ...(hint === undefined ? {} : { suggestion: hint }),
      details: { url, ...(code === undefined ? {} : { code }) },
      cause,
    },
  );
  if (hint !== undefined) return new RemoteFailure(error, "final");
  return new RemoteFailure(error, code !== undefined && UNSENT.has(code) ? "unsent" : "transient");
}

/** The innermost code: libraries wrap the failures of sockets. */
function causeOf(failure: unknown): { code: string | undefined; message: string } {
  let code: string | undefined;
  let message = "";
  for (let at = failure, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    message = at.message.slice(0, SHOWN_OF_FOREIGN);
    const own = (at as NodeJS.ErrnoException).code;
    if (typeof own === "string") code = own;
    // Both addresses of a host, such as of localhost, were tried.
    if (at instanceof AggregateError && code === undefined) code = causeOf(at.errors[0]).code;
  }
  return { code, message: message.replace(/\.$/, "") };
}

/** A call took longer than it may. */
export function timeoutFailure(url: string, waitedMs: number): RemoteFailure {
  return new RemoteFailure(
    new SpacesError(
      "SERVER_UNREACHABLE",
      `The server ${url} gave no answer in ${Math.ceil(waitedMs / 1000)} seconds.`,
      { details: { url, waitedMs } },
    ),
    "transient",
  );
}

/** An answer that no server of spaces gives. */
export function foreignAnswer(url: string, what: string, kind: RemoteFailure["kind"] = "final") {
  return new RemoteFailure(
    new SpacesError(
      "SERVER_UNREACHABLE",
      `${url} does not answer as a server of spaces: ${what}.`,
      {
        suggestion: "Check the URL, and what stands between: a proxy, a portal, another service.",
        details: { url },
      },
    ),
    kind,
  );
}

/** How an answer may come that carries an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  readonly retryAfter: string | undefined;
  readonly location: string | undefined;
}

const TRANSIENT = new Set([429, 502, 503, 504]);

/** What an answer with a status that is no success means. */
export function answerFailure(url: string, answer: ErrorAnswer): RemoteFailure {
  const { status } = answer;
  const kind = TRANSIENT.has(status) ? "transient" : "final";
  if (status < 400) {
    const to = answer.location === undefined ? "" : ` to ${answer.location.slice(0, 500)}`;
    return foreignAnswer(
      url,
      `it redirects${to} (status ${status}), and redirects are not followed`,
    );
  }
  const problem = parseJson(answer.text);
  if (!isRecord(problem) || typeof problem.code !== "string") {
    return foreignAnswer(url, `status ${status} with ${describe(answer)}`, kind);
  }
  return new RemoteFailure(
    errorOfProblem(problem, status),
    kind,
    retryAfterMs(answer.retryAfter, Date.now()),
  );
}

/** The error in the data of an `error` event, or in a text frame of the same form. */
export function eventFailure(url: string, data: unknown): RemoteFailure {
  if (!isRecord(data) || typeof data.code !== "string") {
    return foreignAnswer(url, "a stream ended with an error of another form");
  }
  // In event streams, what is ours stands in the `data` of the carrier's own form.
  const own = isRecord(data.data) ? data.data : {};
  const status = typeof data.status === "number" ? data.status : 500;
  const error = errorOfProblem({ ...data, ...own, code: data.code }, status);
  // Who asks too often is told so before a stream begins. Within one, it is what is asked for that
  // is too much, and it would be so again.
  const passes = TRANSIENT.has(error.status) && error.code !== "LIMIT_EXCEEDED";
  return new RemoteFailure(error, passes ? "transient" : "final");
}

/** Builds the error back that a server has told. */
function errorOfProblem(problem: Record<string, unknown>, status: number): SpacesError {
  const message = textOf(problem.detail) ?? textOf(problem.message) ?? textOf(problem.title);
  const suggestion = textOf(problem.suggestion);
  const requestId = textOf(problem.requestId);
  const known = isErrorCode(problem.code);
  const details = {
    ...(isRecord(problem.details) ? problem.details : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...(known ? {} : { serverCode: textOf(problem.code) }),
  };
  return new SpacesError(isErrorCode(problem.code) ? problem.code : codeOfStatus(status), message, {
    ...(suggestion === undefined ? {} : { suggestion }),
    details,
  });
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "INVALID_INPUT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "CONFLICT",
  413: "BODY_TOO_LARGE",
  422: "INVALID_INPUT",
  429: "LIMIT_EXCEEDED",
  501: "UNSUPPORTED",
};

/** For the codes of a newer server. */
function codeOfStatus(status: number): ErrorCode {
  return CODES[status] ?? "INTERNAL";
}

/** Milliseconds of a `Retry-After`, which holds seconds or a date. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  const waits = /^\d{1,9}$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isFinite(waits) ? Math.max(0, waits) : undefined;
}

function describe({ contentType, text }: ErrorAnswer): string {
  if (text.trim() === "") return "an empty body";
  const title = /<title[^>]*>([^<]{1,200})/i.exec(text)?.[1]?.trim();
  if (title !== undefined) return `a page titled "${title}"`;
  const type = contentType === "" ? "a body of no type" : contentType.slice(0, 80);
  return `${type}: ${JSON.stringify(text.trim().slice(0, SHOWN_OF_FOREIGN))}`;
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value.slice(0, SHOWN_CHARACTERS) : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether a value of a server is an object with keys. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
