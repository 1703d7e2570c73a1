/** Paths as callers give them, absolute below the workspace or relative to it, made plain. */
import { SpacesError } from "../contract/errors.js";

/** Nothing deeper can be named in a call. */
export const LONGEST_PATH_BYTES = 4096;
export const LONGEST_NAME_BYTES = 255;
/** What separates names, drives and streams on Windows. */
export const FOREIGN_SEPARATORS = /[\\:]/;

/**
 * Turns a path into one relative to the workspace, without `.`, `..` and doubled slashes. The
 * workspace itself is the empty path.
 * @param mount where the workspace appears inside, such as `/workspace`
 * @throws SpacesError `PATH_DENIED` for one that leads out; `INVALID_INPUT` for what is no path
 */
export function relativePath(path: string, mount: string): string {
  if (path === "" || path.includes("\0") || /\p{Surrogate}/u.test(path)) {
    throw new SpacesError("INVALID_INPUT", `The path ${quoted(path)} is not a path.`);
  }
  if (Buffer.byteLength(path) > LONGEST_PATH_BYTES) {
    throw tooLong(path, `longer than ${LONGEST_PATH_BYTES} bytes`);
  }
  const names: string[] = [];
  for (const name of (path.startsWith("/") ? path : `${mount}/${path}`).split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      // What is above the mount is not for anybody, also not on the way back into it.
      if (names.pop() === undefined) throw leadsOut(path);
    } else {
      names.push(name);
    }
  }
  const mountNames = mount.split("/").filter((name) => name !== "");
  if (mountNames.some((name, index) => names[index] !== name)) throw leadsOut(path);
  const own = names.slice(mountNames.length);
  for (const name of own) {
    if (Buffer.byteLength(name) > LONGEST_NAME_BYTES) {
      throw tooLong(path, `with a name longer than ${LONGEST_NAME_BYTES} bytes`);
    }
    if (process.platform === "win32" && FOREIGN_SEPARATORS.test(name)) throw leadsOut(path);
  }
  return own.join("/");
}

function leadsOut(path: string): SpacesError {
  return new SpacesError("PATH_DENIED", `The path ${quoted(path)} leads out of the workspace.`);
}

function tooLong(path: string, how: string): SpacesError {
  return new SpacesError("INVALID_INPUT", `The path ${quoted(path)} is ${how}.`);
}

function quoted(path: string): string {
  return JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
}
