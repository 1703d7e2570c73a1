/** Chooses the binding: which one, and where its data or its server is. */
import { resolve } from "node:path";
import { type Config, resolveConfig } from "../config/resolve.js";
import { SpacesError } from "../contract/errors.js";
import { defaultDataDir } from "../data-dir.js";
import type { Binding, BindingOptions } from "./binding.js";

/**
 * Opens the binding that the options and the configuration ask for.
 * @throws SpacesError `INVALID_INPUT` for a mistake in the configuration; `STORE_UNAVAILABLE` when
 *   the local store cannot be used; `UNAUTHENTICATED` when a token must not be sent to the server;
 *   `UNSUPPORTED` for a driver or a grant that a server is to take
 */
export async function openBinding(options: BindingOptions = {}): Promise<Binding> {
  const config = await resolveConfig(options);
  return isRemote(config) ? await openServer(config, options) : await openLocal(config, options);
}

/**
 * Whether a configuration means a server: it says so, or leaves it open and names one.
 * @throws SpacesError `INVALID_INPUT` when it asks for a server and names none
 */
export function isRemote({ binding, url }: Config): boolean {
  if (binding.value === "local") return false;
  if (url !== undefined) return true;
  if (binding.value === "auto") return false;
  throw new SpacesError("INVALID_INPUT", "The remote binding needs the URL of a server.", {
    suggestion: "Give it with --url or SPACES_URL, or run `spaces login <url> --profile <name>`.",
  });
}

async function openServer(config: Config, options: BindingOptions): Promise<Binding> {
  if (config.driver?.origin.kind === "flag") {
    throw new SpacesError("UNSUPPORTED", "A server chooses the driver of new spaces by itself.", {
      suggestion: "Leave --driver out, or name the driver in `spaces create` or in the template.",
      details: { url: config.url?.value, driver: config.driver.value },
    });
  }
  if (options.grant !== undefined) {
    throw new SpacesError(
      "UNSUPPORTED",
      "What a server lets its callers do is limited by a token.",
      {
        suggestion: `Make one with \`spaces tokens create <name> --scope ${options.grant.join(",")}\` and use that.`,
        details: { url: config.url?.value },
      },
    );
  }
  const [{ openRemote }, { tokenFor }] = await Promise.all([
    import("./remote/remote.js"),
    import("../config/token.js"),
  ]);
  return await openRemote({
    url: config.url?.value ?? "",
    token: (await tokenFor(config, options.token))?.value,
    onProgress: options.onProgress,
  });
}

async function openLocal(config: Config, options: BindingOptions): Promise<Binding> {
  const { openInProcess } = await import("./in-process.js");
  return await openInProcess({
    dataDir: options.dataDir === undefined ? defaultDataDir() : resolve(options.dataDir),
    driver: config.driver?.value,
    grant: options.grant,
    via: options.via,
    onProgress: options.onProgress,
  });
}
