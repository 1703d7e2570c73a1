/** Takes paths of the host out of what callers on other machines are shown. */
import { SpacesError } from "../contract/errors.js";

/** Stands in place of the data directory's path. */
const DATA_DIRECTORY = "<data>";
/** Stands in place of any other path of the host. */
const SOME_PATH = "<path>";

/** Absolute paths, also within `unix:` and `file:` URLs; other URLs are none, nor is `and/or`. */
const ABSOLUTE =
  /((?:unix|file):\/\/|(?<![\w.:/<~-]))(?:\/|[A-Za-z]:\\)[^\s"'`,;()]*[^\s"'`,;:.()]/g;

/** A JSON-safe value without the path of the data directory. */
function hideDataDir<T>(value: T, dataDir: string): T {
  const json = JSON.stringify(value);
  const path = JSON.stringify(dataDir).slice(1, -1);
  return json.includes(path) ? (JSON.parse(json.replaceAll(path, DATA_DIRECTORY)) as T) : value;
}

/**
 * A text without any absolute path: for what is told of the host itself, such as why a driver cannot
 * be used. What is told of a space names paths within it, which stay.
 */
export function hidePaths(text: string): string {
  return text.replace(ABSOLUTE, (_, scheme: string) => `${scheme}${SOME_PATH}`);
}

/** The fields of an error without paths of the host. */
export function hideHostPaths<E extends { readonly code: string; readonly message: string }>(
  error: E,
  dataDir: string,
): E {
  const hidden = hideDataDir(error, dataDir);
  if (hidden.code !== "DRIVER_UNAVAILABLE") return hidden;
  return { ...hidden, message: hidePaths(hidden.message) };
}

/** An error without paths of the host; the cause, which never leaves, keeps them. */
export function hideHostPathsOf(error: unknown, dataDir: string): unknown {
  if (!SpacesError.isInstance(error)) return error;
  const { code, message, suggestion, details } = hideHostPaths(error.serialize(), dataDir);
  return new SpacesError(code, message, {
    cause: error.cause,
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(details === undefined ? {} : { details }),
  });
}
