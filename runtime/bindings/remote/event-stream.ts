/** Reads an event stream of a server as the values that were sent; the link calls it. */
import { decodeEventMessage, type EventMessage } from "@orpc/standard-server";
import { eventFailure, foreignAnswer, timeoutFailure } from "./failures.js";
import type { HttpAnswer } from "./http-client.js";

/** One event at most: a piece of output as base64 is far smaller. */
const LARGEST_EVENT = 16 * 1024 * 1024;
/** A server says something every few seconds; one that does not is not there any more. */
const QUIET_MS = 60_000;

const BOUNDARY = /\r\n\r\n|\n\n|\r\r/g;

/**
 * The values of an event stream. Nothing is read ahead of who asks for them, but what the connection
 * itself holds.
 * @returns ends with the server's `done`; a stream that breaks off before throws
 */
export async function* readEvents(
  answer: HttpAnswer,
  url: string,
): AsyncGenerator<unknown, unknown> {
  const decoder = new TextDecoder();
  const { body } = answer;
  const timer = setTimeout(() => body.destroy(timeoutFailure(url, QUIET_MS)), QUIET_MS);
  let rest = "";
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      const text = decoder.decode(chunk, { stream: true });
      // Only what is new, and the three characters before, can hold a boundary.
      const from = Math.max(0, rest.length - 3);
      rest += text;
      BOUNDARY.lastIndex = from;
      let start = 0;
      const messages: EventMessage[] = [];
      for (let match = BOUNDARY.exec(rest); match !== null; match = BOUNDARY.exec(rest)) {
        messages.push(decodeEventMessage(rest.slice(start, match.index)));
        start = match.index + match[0].length;
      }
      rest = rest.slice(start);
      if (rest.length > LARGEST_EVENT) throw foreignAnswer(url, "an event that is too large");
      for (const message of messages) {
        const kind = message.event ?? (message.data === undefined ? undefined : "message");
        if (kind === "error") throw eventFailure(url, dataOf(message, url));
        if (kind === "done") return dataOf(message, url);
        if (kind !== "message") continue;
        clearTimeout(timer);
        yield dataOf(message, url);
      }
      timer.refresh();
    }
  } catch (cause) {
    throw answer.failureOf(cause);
  } finally {
    clearTimeout(timer);
    body.destroy();
  }
  throw foreignAnswer(url, "a stream ended in the middle", "transient");
}

function dataOf({ data }: EventMessage, url: string): unknown {
  if (data === undefined || data === "") return undefined;
  try {
    return JSON.parse(data);
  } catch {
    throw foreignAnswer(url, `an event that is no JSON: ${JSON.stringify(data.slice(0, 100))}`);
  }
}
