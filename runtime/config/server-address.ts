/** Reads the URL of a server: over TCP, TLS or a unix socket. For the remote binding and the configuration. */
import { SpacesError } from "../contract/errors.js";

/** Where every route begins. */
const VERSION_PATH = "/v1";

/** Where a server is. */
export interface ServerAddress {
  /**
   * The one form of its URL: no trailing slash, no version. Messages show it, and credentials are
   * kept under it.
   */
  readonly url: string;
  /** Where its routes begin, with the version. */
  readonly base: URL;
  /** Path of its unix socket; `base` names a host that is not looked up then. */
  readonly socketPath: string | undefined;
}

/**
 * Reads the URL of a server, such as `https://spaces.example.org`, `http://127.0.0.1:7700/prefix` or
 * `unix:///run/spaces.sock`.
 * @throws SpacesError `INVALID_INPUT` for what is no such URL
 */
export function parseServerUrl(text: string): ServerAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:", "unix:"].includes(url.protocol)) {
    throw invalid(`"${text.slice(0, 200)}" is no URL of a server.`);
  }
  if (url.username !== "" || url.password !== "") {
    // The text is not shown: it holds a secret.
    throw invalid(
      "The URL of a server must hold no user and no password.",
      "Give the token apart from the URL: with `spaces login`, SPACES_TOKEN or SPACES_TOKEN_FILE.",
    );
  }
  if (url.search !== "" || url.hash !== "") {
    throw invalid(`The URL "${text.slice(0, 200)}" must end with its path.`);
  }
  return url.protocol === "unix:" ? unixAddress(url, text) : webAddress(url);
}

function webAddress(url: URL): ServerAddress {
  const prefix = url.pathname.replace(/\/+$/, "").replace(/\/v1$/, "");
  return {
    url: `${url.origin}${prefix}`,
    base: new URL(`${url.origin}${prefix}${VERSION_PATH}`),
    socketPath: undefined,
  };
}

function unixAddress(url: URL, text: string): ServerAddress {
  const socketPath = decodePath(url.pathname);
  if (url.host !== "" || socketPath === undefined || socketPath === "" || socketPath === "/") {
    throw invalid(
      `"${text.slice(0, 200)}" names no unix socket.`,
      "Give its absolute path behind unix://, such as unix:///run/spaces.sock.",
    );
  }
  return {
    url: `unix://${url.pathname}`,
    base: new URL(`http://localhost${VERSION_PATH}`),
    socketPath,
  };
}

function decodePath(path: string): string | undefined {
  try {
    const decoded = decodeURIComponent(path);
    return decoded.includes("\0") ? undefined : decoded;
  } catch {
    return undefined;
  }
}

function invalid(message: string, suggestion?: string): SpacesError {
  return new SpacesError("INVALID_INPUT", message, {
    suggestion:
      suggestion ?? "Give one such as https://spaces.example.org or unix:///run/spaces.sock.",
  });
}
