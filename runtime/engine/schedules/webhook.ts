/**
 * Sends one webhook: a signed POST that follows no redirect and reaches public addresses only, or
 * hosts that the operator allows. `notifications.ts` calls it, and nothing else does.
 */
import { createHmac } from "node:crypto";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Readable } from "node:stream";
import fetch from "node-fetch";
import { SpacesError } from "../../contract/errors.js";
import {
  guardAddress,
  isNamedIn,
  type Resolve,
  resolveBySystem,
} from "../../interpreter/address-guard.js";
import { VERSION } from "../../version.js";

/** How long the receiver may take to answer, from the first byte that is sent. */
export const WEBHOOK_MS = 10_000;

export interface WebhookMessage {
  readonly url: string;
  /** Signs the body; unsigned without. */
  readonly secret: string | undefined;
  /** What happened, such as `job.failed`. */
  readonly event: string;
  /** The same for no other attempt to deliver. */
  readonly delivery: string;
  /** JSON. */
  readonly body: string;
}

export interface WebhookOptions {
  /** Hosts that may be reached though their addresses are private, such as `ci.local:8080`. */
  readonly allowedHosts: readonly string[];
  /** The time of the signature, in milliseconds. */
  readonly now: number;
  /** Finds the addresses of names; the system's resolver when absent. */
  readonly resolve?: Resolve | undefined;
}

/**
 * The value of the header `spaces-signature`: the time and the HMAC-SHA256 of the time, a dot and the
 * body. The time is part of it so that a receiver can refuse what is sent again later.
 * @param seconds since 1970
 */
export function signatureOf(body: string, secret: string, seconds: number): string {
  const hmac = createHmac("sha256", secret).update(`${seconds}.${body}`).digest("hex");
  return `t=${seconds},v1=${hmac}`;
}

/**
 * Delivers a message. Nothing that the receiver answers is kept but its status.
 * @throws SpacesError `PERMISSION_DENIED` for an address that may not be reached; `CALL_TIMEOUT`;
 *   `SERVER_UNREACHABLE` where no answer came, or one that is no success
 */
export async function sendWebhook(message: WebhookMessage, options: WebhookOptions): Promise<void> {
  const url = new URL(message.url);
  const privateAllowed = isNamedIn(url, options.allowedHosts);
  const resolve = options.resolve ?? resolveBySystem;
  const guard = guardAddress(url, { privateAllowed }, resolve, refusal);
  const Agent = url.protocol === "https:" ? HttpsAgent : HttpAgent;
  // One connection for one message: a pooled one would not have been checked for this address.
  const agent = new Agent({ keepAlive: false, lookup: guard.lookup });
  const signal = AbortSignal.timeout(WEBHOOK_MS);
  let status: number;
  try {
    const response = await fetch(url.href, {
      method: "POST",
      headers: headersOf(message, options.now),
      body: message.body,
      redirect: "manual",
      agent,
      signal,
    });
    (response.body as Readable | null)?.destroy();
    ({ status } = response);
  } catch (error) {
    throw guard.refusal() ?? failureOf(url, error, signal);
  } finally {
    agent.destroy();
  }
  if (status >= 200 && status < 300) return;
  const redirect = status >= 300 && status < 400 ? ", a redirect, which is not followed" : "";
  throw unreachable(url, `answered with ${status}${redirect}`);
}

function headersOf(
  { secret, event, delivery, body }: WebhookMessage,
  now: number,
): Record<string, string> {
  return {
    "content-type": "application/json",
    "user-agent": `spaces/${VERSION}`,
    "spaces-event": event,
    "spaces-delivery": delivery,
    ...(secret === undefined
      ? {}
      : { "spaces-signature": signatureOf(body, secret, Math.floor(now / 1000)) }),
  };
}

function failureOf(url: URL, error: unknown, signal: AbortSignal): SpacesError {
  if (signal.aborted) {
    const message = `The webhook at ${url.host} did not answer within ${WEBHOOK_MS / 1000} s.`;
    return new SpacesError("CALL_TIMEOUT", message, { cause: error });
  }
  // Its message would name the whole URL.
  const { code = "no answer" } = error as NodeJS.ErrnoException;
  return unreachable(url, `could not be reached (${code})`, error);
}

/** Names the host alone: what else is in the URL may be a secret of the receiver's. */
function unreachable(url: URL, what: string, cause?: unknown): SpacesError {
  return new SpacesError("SERVER_UNREACHABLE", `The webhook at ${url.host} ${what}.`, { cause });
}

function refusal(url: URL): SpacesError {
  return new SpacesError(
    "PERMISSION_DENIED",
    `The webhook at ${url.host} is not called: its address is not a public one.`,
    { suggestion: `Whoever runs the server can allow it with --webhook-host ${url.host}.` },
  );
}
