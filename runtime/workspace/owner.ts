/**
 * Whose the files are that are written from outside: the owner's of the workspace, as whom the space
 * runs. Only a host process that is root can be anybody else.
 */
import { chmodSync, chownSync, lstatSync, mkdirSync } from "node:fs";
import { Directory, type HostPath } from "./directory.js";

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The owner of a workspace, where this process may give files away; undefined otherwise. */
export function ownerOf(root: string): Owner | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = lstatSync(root);
  return { uid, gid };
}

/**
 * Makes a directory with an owner and permission bits.
 * @param host its path, in an open directory
 * @throws an error of Node: `EEXIST`, `ENOENT`
 */
export function makeDirectory(host: HostPath, mode: number, owner: Owner | undefined): void {
  mkdirSync(host, 0o700);
  using made = Directory.open(host);
  // Through the handle: what has taken the name's place meanwhile is not touched.
  if (owner !== undefined) chownSync(`${made.host}/.`, owner.uid, owner.gid);
  chmodSync(`${made.host}/.`, mode);
}
