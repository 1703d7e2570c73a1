/**
 * One attachment over an open WebSocket: output as binary frames, input as binary frames, everything
 * else as JSON. The protocol is described in docs/http.md.
 */
import type { RawData, WebSocket } from "ws";
import { z } from "zod";
import type { EngineAttachment } from "../bindings/attach-within.js";
import type { AttachmentEvent } from "../bindings/attachment.js";
import { toSpacesError } from "../bindings/in-process.js";
import { SpacesError } from "../contract/errors.js";
import { signalSchema } from "../contract/processes.js";
import type { ServerLimits } from "./limits.js";

const sizeSchema = z.number().int().min(1).max(65_535);

const controlSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("resize"), columns: sizeSchema, rows: sizeSchema }),
  z.strictObject({ type: z.literal("signal"), signal: signalSchema }),
  z.strictObject({ type: z.literal("close-input") }),
]);

/** Milliseconds for which the other side may take to close. */
const CLOSE_MS = 5_000;

export class AttachSession {
  readonly #socket: WebSocket;
  readonly #attachment: EngineAttachment;
  readonly #limits: ServerLimits;
  /** What came from the client is done one after the other. */
  #work: Promise<void> = Promise.resolve();
  #waiting = 0;
  #failure: SpacesError | undefined;
  #answered = true;

  constructor(socket: WebSocket, attachment: EngineAttachment, limits: ServerLimits) {
    this.#socket = socket;
    this.#attachment = attachment;
    this.#limits = limits;
  }

  /** Runs the session to its end. @returns what it failed with */
  async run(): Promise<SpacesError | undefined> {
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    this.#socket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    this.#socket.on("pong", () => {
      this.#answered = true;
    });
    // A frame that breaks the protocol closes the socket by itself, with the code for it.
    this.#socket.on("error", (cause) => {
      this.#failure ??= new SpacesError("INVALID_INPUT", "A frame broke the protocol.", { cause });
    });
    const pinging = setInterval(() => this.#ping(), this.#limits.pingMs);
    try {
      // Who has closed wants nothing more, though the process may be silent for long.
      await Promise.race([this.#sendOutput(), closed]);
    } catch (error) {
      this.#fail(error);
    } finally {
      clearInterval(pinging);
      await this.#close(closed);
    }
    return this.#failure;
  }

  async #sendOutput(): Promise<void> {
    const { stdout, stderr } = this.#attachment.position;
    await this.#tell({ type: "position", stdout, stderr });
    for await (const event of this.#attachment.events) {
      await this.#sendEvent(event);
      if (event.type === "exit") break;
    }
  }

  async #sendEvent(event: AttachmentEvent): Promise<void> {
    if (event.type === "stdout") {
      await this.#send(event.data);
    } else if (event.type === "stderr") {
      const data = Buffer.from(event.data).toString("base64");
      await this.#tell({ type: "stderr", data, offset: event.offset });
    } else {
      await this.#tell(event);
    }
  }

  #tell(message: object): Promise<void> {
    return this.#send(JSON.stringify(message));
  }

  /** Sends a frame; waits while more than a little has not been taken. */
  async #send(data: Uint8Array | string): Promise<void> {
    const sent = new Promise<void>((resolve) => {
      // What cannot be sent because the socket has closed is of no interest any more.
      this.#socket.send(data, () => resolve());
    });
    if (this.#socket.bufferedAmount > this.#limits.unsentBytes) await sent;
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (this.#failure !== undefined) return;
    this.#waiting += 1;
    this.#socket.pause();
    this.#work = this.#work
      .then(() => (isBinary ? this.#attachment.write(bytesOf(data)) : this.#control(data)))
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#waiting -= 1;
        if (this.#waiting === 0) this.#socket.resume();
      });
  }

  async #control(data: RawData): Promise<void> {
    const message = controlSchema.safeParse(parsed(bytesOf(data)));
    if (!message.success) {
      throw new SpacesError("INVALID_INPUT", "A text frame is no message of the protocol.");
    }
    const { data: control } = message;
    if (control.type === "resize") await this.#attachment.resize(control);
    else if (control.type === "signal") await this.#attachment.signal(control.signal);
    else await this.#attachment.closeInput();
  }

  /** Tells the error, once, and closes. */
  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const error = toSpacesError(cause);
    this.#failure = error;
    this.#socket.send(JSON.stringify({ type: "error", ...error.serialize() }), () => undefined);
    this.#socket.close(4000 + error.status);
  }

  #ping(): void {
    // While reading is paused a pong cannot be seen.
    if (this.#waiting > 0) return;
    if (!this.#answered) {
      this.#socket.terminate();
      return;
    }
    this.#answered = false;
    this.#socket.ping();
  }

  async #close(closed: Promise<void>): Promise<void> {
    if (this.#failure === undefined) this.#socket.close(1000);
    this.#socket.resume();
    const timer = setTimeout(() => this.#socket.terminate(), CLOSE_MS);
    await closed;
    clearTimeout(timer);
  }
}

function bytesOf(data: RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

function parsed(data: Buffer): unknown {
  try {
    return JSON.parse(data.toString("utf8"));
  } catch {
    return undefined;
  }
}
