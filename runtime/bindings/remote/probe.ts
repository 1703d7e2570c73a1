/** Asks a server for a sign of life, without a token; `spaces doctor` calls it. */

import { parseServerUrl } from "../../config/server-address.js";
import { createAgents } from "./agents.js";
import { spacesErrorOf } from "./failures.js";
import { HttpClient } from "./http-client.js";

const TIMEOUT_MS = 10_000;

interface ServerProbe {
  /** Milliseconds that the answer took. */
  readonly answerMs: number;
  /** Milliseconds by which the server's clock is ahead; its header tells whole seconds. */
  readonly clockAheadMs: number | undefined;
}

/** @throws SpacesError `SERVER_UNREACHABLE` with the reason, `INVALID_INPUT`, `CANCELLED` */
export async function probeServer(url: string, signal?: AbortSignal): Promise<ServerProbe> {
  const address = parseServerUrl(url);
  using http = new HttpClient(address, createAgents(address, TIMEOUT_MS));
  const alive = new URL(address.base);
  alive.pathname = alive.pathname.replace(/v1$/, "livez");
  const begin = performance.now();
  try {
    const { body, headers } = await http.send({
      method: "GET",
      url: alive,
      headers: {},
      body: undefined,
      signal,
      answerTimeoutMs: TIMEOUT_MS,
      isStream: false,
    });
    body.destroy();
    const date = Date.parse(headers.date ?? "");
    return {
      answerMs: performance.now() - begin,
      clockAheadMs: Number.isNaN(date) ? undefined : date - Date.now(),
    };
  } catch (failure) {
    throw spacesErrorOf(failure);
  }
}
