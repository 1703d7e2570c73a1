/** Gives the bytes of an answer as a web stream; the link calls it for downloads. */

import { spacesErrorOf, timeoutFailure } from "./failures.js";
import type { HttpAnswer } from "./http-client.js";

/** How long a reader that waits is left without a byte. */
const QUIET_MS = 120_000;

/**
 * The body as a web stream. Nothing is read that nobody asks for, so that a slow reader slows the
 * server down; reading fails with an error of the registry.
 */
export function readBytes(answer: HttpAnswer, url: string): ReadableStream<Uint8Array> {
  const { body } = answer;
  const parts = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const timer = setTimeout(() => body.destroy(timeoutFailure(url, QUIET_MS)), QUIET_MS);
        try {
          const { done, value } = await parts.next();
          if (done === true) controller.close();
          else controller.enqueue(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
        } catch (cause) {
          controller.error(spacesErrorOf(answer.failureOf(cause)));
        } finally {
          clearTimeout(timer);
        }
      },
      cancel() {
        body.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}
