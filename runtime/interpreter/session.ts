/**
 * One run of one script on one worker, seen from the main thread: carries its calls, modules and
 * output, keeps its deadline, and says how it ended. The worker is not trusted.
 */
import { GuestTraffic, isTraffic, type SessionWorker } from "./guest-traffic.js";
import { HostCalls } from "./host-calls.js";
import { GRACE_MS, type ResolvedLimits } from "./limits.js";
import type { ModuleReader } from "./module-reader.js";
import type { OutputKeeper } from "./output.js";
import { type Outcome, parseWorkerMessage, STOP, type WorkerMessage } from "./protocol.js";
import type { WorkerListener } from "./sandbox-worker.js";
import type { ScriptRequest } from "./types.js";

/** How a run ended; `hostile` when the worker broke the protocol. */
export type SessionEnd =
  | Outcome
  | { readonly kind: "hostile" }
  | { readonly kind: "died"; readonly error: Error | undefined };

export interface SessionOptions {
  readonly request: ScriptRequest;
  /** JavaScript of the script. */
  readonly source: string;
  readonly facts: string;
  readonly limits: ResolvedLimits;
  readonly output: OutputKeeper;
  readonly modules: ModuleReader;
}

export class Session implements WorkerListener {
  readonly #worker: SessionWorker;
  readonly #options: SessionOptions;
  readonly #calls: HostCalls;
  readonly #traffic: GuestTraffic;
  readonly #end: (end: SessionEnd) => void;
  readonly #onAbort = () => this.#stop("cancelled");
  #run = 0;
  #stopping: "timeout" | "cancelled" | undefined;
  #ended = false;
  #deadline: NodeJS.Timeout | undefined;
  #grace: NodeJS.Timeout | undefined;

  private constructor(
    worker: SessionWorker,
    options: SessionOptions,
    end: (end: SessionEnd) => void,
  ) {
    this.#worker = worker;
    this.#options = options;
    this.#end = end;
    // One more than the promise calls: a blocking call may run beside them.
    this.#calls = new HostCalls(options.request, options.limits.concurrentCalls + 1);
    this.#traffic = new GuestTraffic(worker, this.#calls, options.modules, (stream, text) => {
      options.output.add(text);
      options.request.onOutput?.(stream, text);
    });
  }

  /** Runs a script on a worker that the caller has acquired. The worker may be dead afterwards. */
  static run(worker: SessionWorker, options: SessionOptions): Promise<SessionEnd> {
    return new Promise((resolve) => {
      new Session(worker, options, resolve).#start();
    });
  }

  onMessage(message: unknown): void {
    if (this.#ended) {
      return;
    }
    const parsed = parseWorkerMessage(message);
    if (parsed === undefined || !this.#accept(parsed)) {
      this.#finish({ kind: "hostile" }, true);
    }
  }

  onDeath(error: NodeJS.ErrnoException | undefined): void {
    const outOfMemory = error?.code === "ERR_WORKER_OUT_OF_MEMORY";
    const end = this.#stopEnd() ?? (outOfMemory ? { kind: "memory" } : { kind: "died", error });
    this.#finish(end, true);
  }

  #start(): void {
    const { request, source, facts, limits } = this.#options;
    this.#run = this.#worker.begin(this);
    if (limits.timeoutMs !== undefined) {
      const delay = Math.min(limits.timeoutMs, 2 ** 31 - 1);
      this.#deadline = setTimeout(() => this.#stop("timeout"), delay);
    }
    request.signal?.addEventListener("abort", this.#onAbort, { once: true });
    this.#worker.post({
      type: "run",
      run: this.#run,
      filename: request.filename,
      source,
      facts,
      timeoutMs: limits.timeoutMs,
      memoryBytes: limits.memoryBytes,
    });
    if (request.signal?.aborted === true) {
      this.#stop("cancelled");
    }
  }

  /** Handles a well-formed message; false when it does not fit the state of the run. */
  #accept(message: WorkerMessage): boolean {
    if (isTraffic(message)) {
      return this.#traffic.accept(message);
    }
    if (
      message.type !== "done" ||
      message.run !== this.#run ||
      !this.#isPossible(message.outcome)
    ) {
      return false;
    }
    this.#finish(message.outcome, message.outcome.kind === "crashed");
    return true;
  }

  /** Whether the worker can have seen this; time-outs and cancellations are the host's to decide. */
  #isPossible(outcome: Outcome): boolean {
    if (outcome.kind === "timeout") {
      return this.#options.limits.timeoutMs !== undefined;
    }
    return outcome.kind !== "cancelled" || this.#stopping === "cancelled";
  }

  #stop(reason: "timeout" | "cancelled"): void {
    if (this.#ended || this.#stopping !== undefined) {
      return;
    }
    this.#stopping = reason;
    this.#worker.stop(reason === "timeout" ? STOP.timeout : STOP.cancelled);
    this.#calls.abort();
    this.#grace = setTimeout(() => this.#finish({ kind: reason }, true), GRACE_MS);
  }

  #stopEnd(): SessionEnd | undefined {
    return this.#stopping === undefined ? undefined : { kind: this.#stopping };
  }

  #finish(end: SessionEnd, kill: boolean): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    clearTimeout(this.#deadline);
    clearTimeout(this.#grace);
    this.#options.request.signal?.removeEventListener("abort", this.#onAbort);
    this.#traffic.end();
    if (kill) {
      void this.#worker.kill().then(() => this.#end(end));
    } else {
      this.#end(end);
    }
  }
}
