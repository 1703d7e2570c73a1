/** What must hold of a place before `WorkspaceFiles` works on it, and the errors where it does not. */
import { SpacesError } from "../contract/errors.js";
import { type FileInfo, LARGEST_CONTENT_BYTES } from "../contract/files.js";
import type { HeldPlace } from "./anchored-walk.js";
import { isOneOf } from "./file-error.js";

/** @throws SpacesError `FILE_NOT_FOUND` */
export function required(info: FileInfo | undefined, path: string): FileInfo {
  if (info !== undefined) return info;
  throw new SpacesError("FILE_NOT_FOUND", `${path}: There is no such file or directory.`);
}

/** @throws SpacesError `PATH_DENIED` for the workspace itself */
export function requireInside(place: HeldPlace, path: string): void {
  if (!place.isRoot) return;
  throw new SpacesError("PATH_DENIED", `${path}: The workspace itself always stays.`);
}

/** @throws SpacesError `INVALID_INPUT` for a directory below itself */
export function requireNotInto(source: HeldPlace, target: HeldPlace, path: string): void {
  if (!`${target.path}/`.startsWith(source.isRoot ? "/" : `${source.path}/`)) return;
  if (target.path === source.path) return;
  throw new SpacesError("INVALID_INPUT", `${path}: A directory cannot be put into itself.`);
}

/** Whether an error says that there is nothing of this name. */
export function isMissing(error: unknown): boolean {
  if (!SpacesError.isInstance(error)) return false;
  // Below a file there is nothing either.
  return error.code === "FILE_NOT_FOUND" || isOneOf(error.cause, "ENOTDIR");
}

/** The error for content that one call cannot carry. @param bytes its length */
export function tooLarge(path: string, bytes: number): SpacesError {
  return new SpacesError(
    "LIMIT_EXCEEDED",
    `${path}: ${bytes} bytes are more than the ${LARGEST_CONTENT_BYTES} of one call.`,
    {
      suggestion: "Read a range of it, or stream it: download, upload.",
      details: { path, bytes, limit: LARGEST_CONTENT_BYTES },
    },
  );
}
