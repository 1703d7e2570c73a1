/** Takes what comes in on a server's connections to where it is answered, and counts it meanwhile. */
import {
  type Server as HttpServer,
  type IncomingMessage,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Duplex } from "node:stream";
import { SpacesError } from "../contract/errors.js";
import { newId } from "../contract/new-id.js";
import { AttachUpgrade } from "./attach-upgrade.js";
import { answerRequest } from "./exchange.js";
import type { ServerParts } from "./parts.js";
import { problemAnswer } from "./problem.js";

/** Requests and attachments that are being answered. */
export class WorkUnderWay {
  readonly #work = new Set<Promise<void>>();

  /** Counts a piece of work until its promise has settled; it must not reject. */
  add(work: Promise<void>): void {
    this.#work.add(work);
    void work.finally(() => this.#work.delete(work));
  }

  /**
   * Waits until nothing is under way.
   * @param deadlineMs milliseconds to wait at most
   * @returns whether all has ended
   */
  async ended(deadlineMs: number): Promise<boolean> {
    const until = Date.now() + deadlineMs;
    while (this.#work.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<boolean>((resolve) => {
        timer = setTimeout(() => resolve(true), Math.max(0, until - Date.now()));
      });
      const isLate = await Promise.race([late, Promise.all(this.#work).then(() => false)]);
      clearTimeout(timer);
      if (isLate) return this.#work.size === 0;
    }
    return true;
  }
}

/** Answers the requests of a server. */
export function takeRequests(server: HttpServer, parts: ServerParts, work: WorkUnderWay): void {
  const attachments = new AttachUpgrade(parts);
  const take = (request: IncomingMessage, response: ServerResponse): void => {
    if (!parts.connections.begin(request.socket, response)) return;
    const closed = new Promise<void>((resolve) => response.once("close", resolve));
    work.add(Promise.all([answerRequest(parts, request, response), closed]).then(() => undefined));
  };
  server.on("request", take);
  // Who waits to be asked for the body is asked once it is wanted.
  server.on("checkContinue", take);
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    work.add(attachments.answer(request, socket, head));
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Duplex) => {
    refuseUnread(error, socket);
  });
}

const STATUS_OF: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Answers what could not be read as HTTP, and closes the connection. */
function refuseUnread(cause: NodeJS.ErrnoException, socket: Duplex): void {
  if (cause.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = newId("req");
  const error = new SpacesError("INVALID_INPUT", "The request is not valid HTTP.", { cause });
  const status = STATUS_OF[cause.code ?? ""] ?? 400;
  const { headers, body } = problemAnswer(error, { requestId, status });
  const head = { ...headers, connection: "close", "x-request-id": requestId };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join("")}\r\n${body}`, () =>
    socket.destroy(),
  );
}
