/** The remote binding: the contract answered by a server over HTTP. `select.ts` opens it. */

import { parseServerUrl } from "../../config/server-address.js";
import { SpacesError } from "../../contract/errors.js";
import type { ProgressListener } from "../../drivers/driver.js";
import { VERSION } from "../../version.js";
import type { Binding } from "../binding.js";
import { createAgents } from "./agents.js";
import type { RemoteFailure } from "./failures.js";
import { HttpClient } from "./http-client.js";
import { createRemoteClient } from "./link.js";

export interface RemoteOptions {
  /** Such as `https://spaces.example.org` or `unix:///run/spaces.sock`. */
  readonly url: string;
  readonly token?: string | undefined;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds until an answer must begin, where the call has no time-out of its own; 10 minutes. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds that connecting may take; 15 seconds. */
  readonly connectTimeoutMs?: number | undefined;
  /** Attempts for a call that may be repeated, the first included; 4. */
  readonly attempts?: number | undefined;
  /** Milliseconds for which a broken stream is tried to be resumed; a minute. */
  readonly resumeMs?: number | undefined;
  /** Told when the server is waited for. */
  readonly onProgress?: ProgressListener | undefined;
}

const TIMEOUT_MS = 600_000;
const CONNECT_TIMEOUT_MS = 15_000;
const ATTEMPTS = 4;
const RESUME_MS = 60_000;

/**
 * Opens the binding to a server. Nothing is sent before the first call.
 * @throws SpacesError `INVALID_INPUT` for a URL, token or certificate file that is of no use
 */
export async function openRemote(options: RemoteOptions): Promise<Binding> {
  const address = parseServerUrl(options.url);
  const { url } = address;
  const headers = {
    ...options.headers,
    "user-agent": `spaces/${VERSION}`,
    ...(options.token === undefined
      ? {}
      : { authorization: `Bearer ${checkToken(options.token)}` }),
  };
  const agents = createAgents(address, options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
  const onRetry = ({ error }: RemoteFailure): void =>
    options.onProgress?.(`${error.message} Trying again…`);
  const resumeMs = options.resumeMs ?? RESUME_MS;
  const http = new HttpClient(address, agents);
  const client = createRemoteClient(http, {
    url,
    base: address.base,
    headers,
    timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
    attempts: options.attempts ?? ATTEMPTS,
    resumeMs,
    onRetry,
  });
  const attachments = new Set<AsyncDisposable>();
  return {
    kind: "remote",
    client,
    url,
    // Where a script runs is nothing that a server knows.
    clientForRun: () => client,
    async attach(target, attachOptions = {}) {
      const { attachSocket } = await import("./socket-attachment.js");
      const attachment = await attachSocket(target, attachOptions, {
        address,
        agent: agents.sockets,
        headers,
        resumeMs,
        connectTimeoutMs: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
        onRetry,
        onReleased: (released) => attachments.delete(released),
      });
      attachments.add(attachment);
      return attachment;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...attachments].map((each) => each[Symbol.asyncDispose]()));
      http[Symbol.dispose]();
    },
  };
}

/** A token is one word: anything else is a file or variable that holds something else. */
function checkToken(token: string): string {
  if (/^[\x21-\x7e]{1,4096}$/.test(token)) return token;
  throw new SpacesError("INVALID_INPUT", "The token is no token: it must be one word.", {
    suggestion: "Give a token as `spaces tokens create` prints it.",
  });
}
