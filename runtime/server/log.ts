/** The server's log: one JSON line a request, without secrets. `spaces serve` makes it. */
import { type DestinationStream, type Logger, pino } from "pino";

export type ServerLog = Logger;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Tokens, wherever in a line they stand. */
const TOKENS = /spt_[A-Za-z0-9_-]+/g;

/**
 * Makes a log.
 * @param destination where lines go; stderr when absent
 */
export function createLog(level: LogLevel, destination?: DestinationStream): ServerLog {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: {
        paths: [
          "authorization",
          "cookie",
          "token",
          "secret",
          "password",
          "*.authorization",
          "*.cookie",
          "*.token",
          "*.secret",
          "*.password",
          'headers["set-cookie"]',
          'headers["idempotency-key"]',
        ],
        censor: "***",
      },
      hooks: { streamWrite: (line) => line.replace(TOKENS, "spt_***") },
    },
    destination ?? pino.destination({ dest: 2, sync: true }),
  );
}

/** The ids of a W3C trace that a request belongs to; empty where its header is not valid. */
export function traceOf(header: string | string[] | undefined): {
  readonly traceId?: string;
  readonly spanId?: string;
} {
  if (typeof header !== "string") return {};
  const [, traceId, spanId] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}/.exec(header) ?? [];
  return traceId === undefined || spanId === undefined ? {} : { traceId, spanId };
}
