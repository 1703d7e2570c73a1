/** Takes secret values out of captured output; the engine and the records of runs do. */
import type { CommandResult } from "./contract/processes.js";

/** Stands in the place of a secret value. */
export const REDACTED = "***";

/** Shorter values would take harmless text out of every output. */
const SHORTEST = 4;
const ASTERISK = 0x2a;

/** The values that are taken out of output; of several at one place, the longest. */
export function redactable(secrets: readonly string[]): string[] {
  const long = secrets.filter((secret) => secret.length >= SHORTEST);
  return [...new Set(long)].sort((a, b) => b.length - a.length);
}

/** A finished command's result with `***` in place of secrets. */
export function redactResult(result: CommandResult, secrets: readonly string[]): CommandResult {
  const hidden = redactable(secrets);
  if (hidden.length === 0) return result;
  const clean = (text: string): string =>
    hidden.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text);
  return {
    ...result,
    stdout: clean(result.stdout),
    stderr: clean(result.stderr),
    output: clean(result.output),
  };
}

/**
 * Takes secrets out of a stream that comes in pieces. Asterisks stand in their place, as many as the
 * secret has bytes, so that offsets stay true. What may be the beginning of a secret is held back
 * until the next piece.
 */
export class StreamRedactor {
  #secrets: readonly Buffer[] = [];
  #held = Buffer.alloc(0);

  constructor(secrets: readonly string[]) {
    this.takeOut(secrets);
  }

  /** Takes these out of what comes from now on, and nothing else any more. */
  takeOut(secrets: readonly string[]): void {
    this.#secrets = redactable(secrets).map((secret) => Buffer.from(secret));
  }

  /** The next piece that may be shown; perhaps empty. */
  push(piece: Buffer): Buffer {
    if (this.#secrets.length === 0 && this.#held.length === 0) return piece;
    const bytes = Buffer.concat([this.#held, piece]);
    for (const secret of this.#secrets) {
      for (let at = bytes.indexOf(secret); at >= 0; at = bytes.indexOf(secret, at)) {
        bytes.fill(ASTERISK, at, at + secret.length);
      }
    }
    const keep = this.#beginningAtEnd(bytes);
    this.#held = bytes.subarray(bytes.length - keep);
    return bytes.subarray(0, bytes.length - keep);
  }

  /** What was held back, when nothing more comes. */
  flush(): Buffer {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  /** How many bytes at the end could be the beginning of a secret. */
  #beginningAtEnd(bytes: Buffer): number {
    let most = 0;
    for (const secret of this.#secrets) {
      const limit = Math.min(secret.length - 1, bytes.length);
      for (let length = limit; length > most; length--) {
        if (bytes.subarray(bytes.length - length).equals(secret.subarray(0, length))) {
          most = length;
          break;
        }
      }
    }
    return most;
  }
}
