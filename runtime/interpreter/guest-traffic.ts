/**
 * What passes between a sandbox and the host while it runs, whatever it runs: calls, modules and
 * output. `session.ts` and `evaluator.ts` hand the worker's messages to it.
 */
import type { HostCalls } from "./host-calls.js";
import type { ModuleReader } from "./module-reader.js";
import type { MainMessage, OutputPiece, OutputStream, WorkerMessage } from "./protocol.js";
import type { WorkerListener } from "./sandbox-worker.js";

/** What a session needs of its worker; `SandboxWorker` is one. */
export interface SessionWorker {
  begin(listener: WorkerListener): number;
  post(message: MainMessage): void;
  stop(reason: number): void;
  resume(): void;
  takeOutput(length: number): void;
  kill(): Promise<void>;
}

type TrafficMessage = Extract<WorkerMessage, { type: "call" | "module" | "output" }>;

/** Is this a message that `GuestTraffic` takes? */
export function isTraffic(message: WorkerMessage): message is TrafficMessage {
  return message.type === "call" || message.type === "module" || message.type === "output";
}

export class GuestTraffic {
  readonly #worker: SessionWorker;
  readonly #calls: HostCalls;
  readonly #modules: ModuleReader;
  readonly #onOutput: (stream: OutputStream, text: string) => void;
  #lastId = 0;
  #ended = false;

  constructor(
    worker: SessionWorker,
    calls: HostCalls,
    modules: ModuleReader,
    onOutput: (stream: OutputStream, text: string) => void,
  ) {
    this.#worker = worker;
    this.#calls = calls;
    this.#modules = modules;
    this.#onOutput = onOutput;
  }

  /** Handles a well-formed message; false when no honest worker would send it. */
  accept(message: TrafficMessage): boolean {
    if (message.type === "output") {
      this.#takeOutput(message.pieces);
      return true;
    }
    if (message.id <= this.#lastId) {
      return false;
    }
    this.#lastId = message.id;
    const answer =
      message.type === "call"
        ? this.#calls.answer(message.name, message.input)
        : this.#modules.answer(message.path);
    void answer.then((text) => this.#reply(message.id, text));
    return true;
  }

  /** Sends no more answers, and aborts the calls that run. */
  end(): void {
    this.#ended = true;
    this.#calls.abort();
  }

  #takeOutput(pieces: readonly OutputPiece[]): void {
    let length = 0;
    for (const [stream, text] of pieces) {
      length += text.length;
      this.#onOutput(stream, text);
    }
    this.#worker.takeOutput(length);
  }

  #reply(id: number, answer: string): void {
    if (!this.#ended) {
      this.#worker.post({ type: "reply", id, answer });
    }
  }
}
