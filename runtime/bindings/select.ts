/** Chooses the binding: which one, and where its data is. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { SpacesError } from "../contract/errors.js";
import type { Binding, BindingOptions } from "./binding.js";

/**
 * Opens the binding that the options ask for.
 * @throws SpacesError `STORE_UNAVAILABLE` when the store cannot be used; `UNSUPPORTED` for a remote
 *   one, which this version has not
 */
export async function openBinding(options: BindingOptions = {}): Promise<Binding> {
  if (options.binding === "remote") {
    throw new SpacesError("UNSUPPORTED", "This version has no remote binding.", {
      suggestion: "Use the local one: --binding local.",
    });
  }
  const { openInProcess } = await import("./in-process.js");
  return await openInProcess({
    dataDir: options.dataDir === undefined ? defaultDataDir() : resolve(options.dataDir),
    driver: options.driver ?? (process.env.SPACES_DRIVER || undefined),
    onProgress: options.onProgress,
  });
}

/** `SPACES_HOME`, else `$XDG_DATA_HOME/spaces`, else `~/.local/share/spaces`. */
export function defaultDataDir(): string {
  const { SPACES_HOME, XDG_DATA_HOME } = process.env;
  if (SPACES_HOME) return resolve(SPACES_HOME);
  // The XDG specification has relative paths ignored.
  const base =
    XDG_DATA_HOME && isAbsolute(XDG_DATA_HOME) ? XDG_DATA_HOME : join(homedir(), ".local", "share");
  return join(base, "spaces");
}
