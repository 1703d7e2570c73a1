/** What `spaces doctor` checks of a server: that it answers, its clock, and what the token is good for. */
import { isRemote } from "../runtime/bindings/select.js";
import { resolveConfig } from "../runtime/config/resolve.js";
import type { Problem } from "./doctor.js";
import { toSpacesError } from "./failures.js";
import type { Session } from "./session.js";

/** Tokens expire by the server's clock: a larger difference makes their times misleading. */
const CLOCK_MS = 60_000;

export interface ServerFindings {
  readonly url: string;
  /** Where the URL is from. */
  readonly origin: string;
  readonly reachable: boolean;
  /** Milliseconds that an answer took. */
  readonly answerMs?: number;
  /** Milliseconds by which its clock is ahead of this one. */
  readonly clockAheadMs?: number;
  /** Whom the token belongs to; absent where it is not taken. */
  readonly user?: string;
  readonly permissions?: readonly string[];
  readonly tokenExpiresAt?: string;
}

/**
 * Checks the server that is configured.
 * @param problems what is wrong is added to these
 * @returns undefined where none is configured
 * @throws SpacesError for a mistake in the configuration
 */
export async function examineServer(
  session: Session,
  problems: Problem[],
): Promise<ServerFindings | undefined> {
  const { url: given, profile, binding } = session.globals;
  const config = await resolveConfig({ url: given, profile, binding });
  if (!isRemote(config) || config.url === undefined) return undefined;
  const { value: url, origin } = config.url;
  const found = { url, origin: origin.where };
  const { probeServer } = await import("../runtime/bindings/remote/probe.js");
  let probe: Awaited<ReturnType<typeof probeServer>>;
  try {
    probe = await probeServer(url, session.signal);
  } catch (failure) {
    const error = toSpacesError(failure);
    problems.push({ what: "server", reason: error.message, remedy: error.suggestion });
    return { ...found, reachable: false };
  }
  const { answerMs, clockAheadMs } = probe;
  if (clockAheadMs !== undefined && Math.abs(clockAheadMs) > CLOCK_MS) {
    const minutes = Math.round(Math.abs(clockAheadMs) / 60_000);
    problems.push({
      what: "clock",
      reason: `The server's clock is about ${minutes} min ${clockAheadMs > 0 ? "ahead of" : "behind"} this one.`,
      remedy: "Set both by a time server.",
    });
  }
  const reached = {
    ...found,
    reachable: true,
    answerMs: Math.round(answerMs),
    ...(clockAheadMs === undefined ? {} : { clockAheadMs: Math.round(clockAheadMs) }),
  };
  try {
    const client = await session.client();
    const who = await client.system.whoami({}, { signal: session.signal });
    const expires = who.token?.expiresAt;
    return {
      ...reached,
      user: who.name,
      permissions: who.permissions,
      ...(expires === undefined ? {} : { tokenExpiresAt: expires }),
    };
  } catch (failure) {
    const error = toSpacesError(failure);
    problems.push({ what: "token", reason: error.message, remedy: error.suggestion });
    return reached;
  }
}
