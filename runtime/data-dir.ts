/** Where the data of this machine is: spaces, the store, the records of runs. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";

/** `SPACES_HOME`, else `$XDG_DATA_HOME/spaces`, else `~/.local/share/spaces`. */
export function defaultDataDir(): string {
  const { SPACES_HOME, XDG_DATA_HOME } = process.env;
  if (SPACES_HOME) return resolve(SPACES_HOME);
  // The XDG specification has relative paths ignored.
  const base =
    XDG_DATA_HOME && isAbsolute(XDG_DATA_HOME) ? XDG_DATA_HOME : join(homedir(), ".local", "share");
  return join(base, "spaces");
}
