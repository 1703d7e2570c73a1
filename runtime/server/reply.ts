/**
 * Writes the answer of a call: JSON in one piece, bytes as they come, events as an event stream.
 * `api.ts` calls it. Nothing is read ahead of a client that does not take what it is sent.
 */
import type { ServerResponse } from "node:http";
import {
  ErrorEvent,
  encodeEventMessage,
  getEventMeta,
  type StandardResponse,
} from "@orpc/standard-server";
import { release } from "./memory-release.js";

interface ReplyOptions {
  /** Between the comments of an event stream in which nothing happens. */
  readonly keepAliveMs: number;
  /** Fires when the caller may not go on. */
  readonly signal: AbortSignal;
}

/**
 * Sends an answer. Resolves when it has been handed over or the client has gone; what fails within a
 * stream breaks the answer off, for its head has been sent.
 */
export async function sendReply(
  response: ServerResponse,
  { status, headers, body }: StandardResponse,
  { keepAliveMs, signal }: ReplyOptions,
): Promise<void> {
  const cut = (): void => {
    // Who does not take what it is sent would not take the end of it either.
    if (response.writableNeedDrain) response.destroy();
  };
  signal.addEventListener("abort", cut);
  response.once("close", () => signal.removeEventListener("abort", cut));
  if (body instanceof ReadableStream) {
    await sendBytes(response, { status, headers, body });
  } else if (isIterator(body)) {
    response.writeHead(status, { ...headers, "content-type": "text/event-stream" });
    await sendEvents(response, body, keepAliveMs);
  } else if (body === undefined) {
    response.writeHead(status, { ...headers }).end();
  } else {
    const text = JSON.stringify(body);
    response
      .writeHead(status, {
        ...headers,
        "content-type": "application/json",
        // With its length known an answer is one write.
        "content-length": Buffer.byteLength(text),
      })
      .end(text);
  }
}

function isIterator(body: unknown): body is AsyncIterator<unknown, unknown> {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body;
}

interface Bytes {
  readonly status: number;
  readonly headers: StandardResponse["headers"];
  readonly body: ReadableStream<Uint8Array>;
}

async function sendBytes(
  response: ServerResponse,
  { status, headers, body }: Bytes,
): Promise<void> {
  const reader = body.getReader();
  const stop = (): void => {
    // The reading tells of its failure.
    reader.cancel().catch(() => undefined);
  };
  response.once("close", stop);
  try {
    response.writeHead(status, { ...headers });
    for (;;) {
      const { done, value } = await reader.read();
      if (done || response.destroyed) break;
      await write(response, value, () => release(value));
    }
    response.end();
  } catch (error) {
    response.destroy(error as Error);
  } finally {
    response.off("close", stop);
    stop();
  }
}

async function sendEvents(
  response: ServerResponse,
  events: AsyncIterator<unknown, unknown>,
  keepAliveMs: number,
): Promise<void> {
  const stop = (): void => {
    events.return?.(undefined).catch(() => undefined);
  };
  const timer = setInterval(() => {
    if (!response.writableNeedDrain) response.write(encodeEventMessage({ comments: [""] }));
  }, keepAliveMs);
  response.once("close", stop);
  try {
    // The client learns that the stream is open.
    response.write(encodeEventMessage({ comments: [""] }));
    for (;;) {
      const { done = false, value } = await events.next();
      if (response.destroyed) return;
      // An end without a value needs no word of its own.
      if (!done || value !== undefined) {
        await write(response, messageOf(done ? "done" : "message", value));
      }
      if (done) break;
      timer.refresh();
    }
    response.end();
  } catch (error) {
    if (error instanceof ErrorEvent) {
      response.end(
        encodeEventMessage({
          ...getEventMeta(error),
          event: "error",
          data: JSON.stringify(error.data),
        }),
      );
    } else response.destroy(error as Error);
  } finally {
    clearInterval(timer);
    response.off("close", stop);
    if (response.destroyed) stop();
  }
}

function messageOf(event: "message" | "done" | "error", value: unknown): string {
  return encodeEventMessage({ ...getEventMeta(value), event, data: JSON.stringify(value) });
}

/**
 * Resolves when the client has taken so much that more can be written, or has gone.
 * @param onSent called when the piece is with the system
 */
async function write(
  response: ServerResponse,
  piece: string | Uint8Array,
  onSent?: () => void,
): Promise<void> {
  const goesOn = response.write(piece, (error) => {
    if (!error) onSent?.();
  });
  if (goesOn || response.destroyed) return;
  await new Promise<void>((resolve) => {
    const goOn = (): void => {
      response.off("drain", goOn).off("close", goOn);
      resolve();
    };
    response.on("drain", goOn).on("close", goOn);
  });
}
