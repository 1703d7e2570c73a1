/**
 * The first words between host and agent: the host shows the token, the agent answers with the
 * host's nonce. Used by the session.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { SpacesError } from "../contract/errors.js";
import { encodeHello, type HelloAnswer, HelloFinder } from "./frames.js";
import { NONCE_BYTES, PROTOCOL_VERSION, TOKEN_BYTES } from "./protocol.js";
import { asSpacesError, cancelled, lostError } from "./session-errors.js";

const HELLO_MS = 5_000;

export interface GuestSessionOptions {
  /** The 32 bytes that the agent was started with. */
  readonly token: Uint8Array;
  /** How long the agent may take to answer the first words; 5 s when absent. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * For carriers that do not show the agent that a host has died, such as Docker's attach: seconds
   * (1 to 3600) of silence after which the agent takes this one for dead. The session then gives signs
   * of life by itself.
   */
  readonly leaseSeconds?: number | undefined;
}

interface Introduction {
  readonly answer: HelloAnswer;
  /** What came behind the answer already. */
  readonly rest: Buffer;
}

/**
 * Says HELLO and waits for the answer; leaves the stream paused, so that nothing is lost between.
 * @throws SpacesError `DRIVER_FAILED` when no agent of this version answers, `CANCELLED`.
 */
export async function introduce(
  stream: Duplex,
  { token, timeoutMs = HELLO_MS, signal, leaseSeconds = 0 }: GuestSessionOptions,
): Promise<Introduction> {
  if (token.length !== TOKEN_BYTES) {
    throw new SpacesError("INVALID_INPUT", `A guest token has ${TOKEN_BYTES} bytes.`);
  }
  if (!Number.isInteger(leaseSeconds) || leaseSeconds < 0 || leaseSeconds > 3600) {
    throw new SpacesError("INVALID_INPUT", `A lease of ${leaseSeconds} s is not possible.`);
  }
  const nonce = randomBytes(NONCE_BYTES);
  const finder = new HelloFinder(nonce);
  const introduction = await new Promise<Introduction>((resolve, reject) => {
    const settle = (result: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      stream.off("data", onData).off("error", onError).off("close", onClose).off("end", onClose);
      result();
    };
    const fail = (error: SpacesError) => settle(() => reject(error));
    const onData = (chunk: Buffer) => {
      try {
        const found = finder.push(chunk);
        if (found === undefined) return;
        stream.pause();
        settle(() => resolve(found));
      } catch (error) {
        fail(asSpacesError(error));
      }
    };
    const onError = (error: Error) => fail(lostError(error));
    const onClose = () => fail(lostError(undefined));
    const onAbort = () => fail(cancelled("the opening of a session"));
    const timer = setTimeout(
      () => fail(new SpacesError("DRIVER_FAILED", "The space's agent does not answer.")),
      timeoutMs,
    );
    stream.on("data", onData).on("error", onError).on("close", onClose).on("end", onClose);
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted === true) onAbort();
    else stream.write(encodeHello(token, nonce, leaseSeconds));
  });
  const { version } = introduction.answer;
  if (version === PROTOCOL_VERSION) return introduction;
  throw new SpacesError(
    "DRIVER_FAILED",
    `The space's agent speaks version ${version} of the protocol, this program ${PROTOCOL_VERSION}.`,
    { suggestion: "Restart the space: that brings it the agent of this program." },
  );
}
