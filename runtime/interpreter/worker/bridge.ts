/**
 * The worker's end of the line to the main thread: blocking calls, calls whose answers come later,
 * and output with back-pressure. Used by `script-run.ts`.
 */
import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { OUTPUT_BATCH, OUTPUT_WINDOW } from "../limits.js";
import {
  CONTROL,
  type MainMessage,
  type Outcome,
  type OutputPiece,
  type OutputStream,
  type ReplyMessage,
  type WorkerMessage,
} from "../protocol.js";

/** Pieces that wait to be sent; more are sent at once. */
const MAX_PIECES = 512;

/** Says whether the script has to end, and when at the latest (`performance.now()`). */
export interface StopCheck {
  shouldStop(): boolean;
  readonly deadline: number;
}

export class Bridge {
  readonly #port: MessagePort;
  readonly #control: Int32Array;
  readonly #onMessage: (message: MainMessage) => void;
  readonly #kept: ReplyMessage[] = [];
  #lastId = 0;
  #pieces: OutputPiece[] = [];
  #pieceLength = 0;
  #sentLength = 0;

  /** @param onMessage takes the messages that came while the thread waited for a reply */
  constructor(port: MessagePort, control: Int32Array, onMessage: (message: MainMessage) => void) {
    this.#port = port;
    this.#control = control;
    this.#onMessage = onMessage;
  }

  /** The reason that the main thread gave for ending the script, as a value of `STOP`. */
  get stopReason(): number {
    return Atomics.load(this.#control, CONTROL.stop);
  }

  get hasOutput(): boolean {
    return this.#pieceLength > 0;
  }

  /** Sends a call whose answer comes as a reply message, and gives its id. */
  sendCall(name: string, input: string): number {
    this.#lastId += 1;
    this.#send({ type: "call", id: this.#lastId, name, input });
    return this.#lastId;
  }

  /** Sends a call and blocks for its answer; "" when the script has to end. */
  call(name: string, input: string, check: StopCheck): string {
    this.flush(check);
    return this.#wait(this.sendCall(name, input), check);
  }

  /** Asks for a module and blocks for the answer; "" when the script has to end. */
  readModule(path: string, check: StopCheck): string {
    this.flush(check);
    this.#lastId += 1;
    this.#send({ type: "module", id: this.#lastId, path });
    return this.#wait(this.#lastId, check);
  }

  /** Blocks for a time in milliseconds, or until the script has to end. */
  sleep(milliseconds: number, check: StopCheck): void {
    this.flush(check);
    const end = performance.now() + milliseconds;
    for (;;) {
      const seen = Atomics.load(this.#control, CONTROL.wake);
      const now = performance.now();
      if (now >= end || check.shouldStop()) {
        return;
      }
      Atomics.wait(this.#control, CONTROL.wake, seen, Math.min(end, check.deadline) - now);
    }
  }

  /** Takes the answers to promise calls that arrived while something blocked. */
  takeReplies(first?: ReplyMessage): ReplyMessage[] {
    const replies = this.#kept.splice(0);
    if (first !== undefined) {
      replies.push(first);
    }
    for (let reply = this.#receive(); reply !== undefined; reply = this.#receive()) {
      replies.push(reply);
    }
    return replies;
  }

  write(stream: OutputStream, text: string, check: StopCheck): void {
    const last = this.#pieces.at(-1);
    if (last !== undefined && last[0] === stream) {
      this.#pieces[this.#pieces.length - 1] = [stream, last[1] + text];
    } else {
      this.#pieces.push([stream, text]);
    }
    this.#pieceLength += text.length;
    if (this.#pieceLength >= OUTPUT_BATCH || this.#pieces.length >= MAX_PIECES) {
      this.flush(check);
    }
  }

  /** Sends what was written; waits while the main thread has too much of it under way. */
  flush(check: StopCheck): void {
    if (this.#pieceLength === 0) {
      return;
    }
    this.#send({ type: "output", pieces: this.#pieces });
    this.#sentLength = (this.#sentLength + this.#pieceLength) | 0;
    this.#pieces = [];
    this.#pieceLength = 0;
    for (;;) {
      const taken = Atomics.load(this.#control, CONTROL.outputTaken);
      if (((this.#sentLength - taken) | 0) <= OUTPUT_WINDOW || check.shouldStop()) {
        return;
      }
      const left = Math.max(1, Math.min(1000, check.deadline - performance.now()));
      Atomics.wait(this.#control, CONTROL.outputTaken, taken, left);
    }
  }

  /** Sends what is told of a session, after the output before it. */
  report(message: WorkerMessage, check: StopCheck): void {
    this.flush(check);
    this.#send(message);
  }

  /** Sends the end of a run, after all of its output. */
  finish(run: number, outcome: Outcome, check: StopCheck): void {
    this.flush(check);
    this.#kept.length = 0;
    this.#send({ type: "done", run, outcome });
  }

  #send(message: WorkerMessage): void {
    this.#port.postMessage(message);
  }

  #receive(): ReplyMessage | undefined {
    for (;;) {
      const received: { message: MainMessage } | undefined = receiveMessageOnPort(this.#port);
      if (received === undefined) {
        return undefined;
      }
      if (received.message.type === "reply") {
        return received.message;
      }
      const { message } = received;
      setImmediate(() => this.#onMessage(message));
    }
  }

  #wait(id: number, check: StopCheck): string {
    for (;;) {
      const seen = Atomics.load(this.#control, CONTROL.wake);
      for (let reply = this.#receive(); reply !== undefined; reply = this.#receive()) {
        if (reply.id === id) {
          return check.shouldStop() ? "" : reply.answer;
        }
        this.#kept.push(reply);
      }
      if (check.shouldStop()) {
        return "";
      }
      const left = check.deadline - performance.now();
      Atomics.wait(this.#control, CONTROL.wake, seen, Math.max(1, left));
    }
  }
}
