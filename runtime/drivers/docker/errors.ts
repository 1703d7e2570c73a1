/**
 * Turns what dockerode throws into errors of the registry. Every call of this driver goes through
 * here, so that no caller ever meets a raw HTTP or socket error.
 */
import { SpacesError } from "../../contract/errors.js";

/** Socket errors after which the daemon counts as gone. */
const UNREACHABLE = new Set([
  "EACCES",
  "EAI_AGAIN",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOENT",
  "ENOTFOUND",
  "EPIPE",
  "EPERM",
  "ETIMEDOUT",
]);

/** The HTTP status with which the daemon answered, if it answered. */
export function statusOf(error: unknown): number | undefined {
  const status = property(error, "statusCode");
  return typeof status === "number" ? status : undefined;
}

/** The code of a socket error, such as `ECONNREFUSED`. */
export function socketCodeOf(error: unknown): string | undefined {
  const code = property(error, "code");
  return typeof code === "string" ? code : undefined;
}

/** What the daemon said, without dockerode's own words around it. */
export function reasonOf(error: unknown): string {
  if (SpacesError.isInstance(error)) return reasonOf(error.cause ?? error.message);
  const said = property(property(error, "json"), "message");
  if (typeof said === "string") return said.trim();
  return error instanceof Error ? error.message.trim() : String(error);
}

/** The daemon's status of an error that `toSpacesError` has wrapped already. */
export function causeStatus(error: unknown): number | undefined {
  return SpacesError.isInstance(error) ? statusOf(error.cause) : statusOf(error);
}

/**
 * The error of the registry for something that dockerode threw.
 * @param doing what was tried, to follow "could not", such as `start space "web"`.
 * @param address where the daemon was expected.
 */
export function toSpacesError(error: unknown, doing: string, address: string): SpacesError {
  if (SpacesError.isInstance(error)) return error;
  const reason = reasonOf(error);
  const status = statusOf(error);
  if (status === undefined) {
    const code = socketCodeOf(error);
    if ((code !== undefined && UNREACHABLE.has(code)) || /socket hang up/i.test(reason)) {
      return new SpacesError(
        "DRIVER_UNAVAILABLE",
        `Docker could not ${doing}: the daemon at ${address} cannot be reached (${reason}).`,
        { cause: error, details: { address } },
      );
    }
  }
  if (status === 409 && /is (not running|paused|restarting)|stopped/i.test(reason)) {
    return new SpacesError("SPACE_NOT_RUNNING", `Docker could not ${doing}: ${reason}.`, {
      cause: error,
    });
  }
  if (/unable to find (user|group)|no matching entries in (passwd|group) file/i.test(reason)) {
    return new SpacesError("INVALID_INPUT", `Docker could not ${doing}: ${reason}.`, {
      suggestion: "Name a user that the image knows, or give `uid:gid`.",
      cause: error,
    });
  }
  return new SpacesError("DRIVER_FAILED", `Docker could not ${doing}: ${reason}.`, {
    cause: error,
    details: status === undefined ? { reason } : { reason, status },
  });
}

function property(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
