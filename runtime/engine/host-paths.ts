/** Takes paths of the host out of what callers on other machines are shown. */
import { SpacesError } from "../contract/errors.js";

/** Stands in place of the data directory's path. */
const DATA_DIRECTORY = "<data>";

/** A JSON-safe value without the path of the data directory. */
export function hideHostPaths<T>(value: T, dataDir: string): T {
  const json = JSON.stringify(value);
  const path = JSON.stringify(dataDir).slice(1, -1);
  return json.includes(path) ? (JSON.parse(json.replaceAll(path, DATA_DIRECTORY)) as T) : value;
}

/** An error without the path of the data directory; the cause, which never leaves, keeps it. */
export function hideHostPathsOf(error: unknown, dataDir: string): unknown {
  if (!SpacesError.isInstance(error)) return error;
  const { code, message, suggestion, details } = hideHostPaths(error.serialize(), dataDir);
  return new SpacesError(code, message, {
    cause: error.cause,
    ...(suggestion === undefined ? {} : { suggestion }),
    ...(details === undefined ? {} : { details }),
  });
}
