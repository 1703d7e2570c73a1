/**
 * One worker thread as the main thread holds it: posts messages, hands on what comes back, and
 * kills it. Made by `pool.ts`, used by one session at a time.
 */
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { artifactUrl } from "../artifacts.js";
import { DEFAULT_LIMITS, WORKER_RESOURCES } from "./limits.js";
import { CONTROL, CONTROL_LENGTH, type MainMessage, STOP, type WorkerData } from "./protocol.js";

/** What a session learns from its worker. */
export interface WorkerListener {
  onMessage(message: unknown): void;
  /** The thread is gone; the error says why when it did not end by itself. */
  onDeath(error: NodeJS.ErrnoException | undefined): void;
}

let compiled: WebAssembly.Module | undefined;

/** The engine, compiled once for all workers of this process. */
function compiledEngine(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(readFileSync(artifactUrl("quickjs.wasm")));
  return compiled;
}

export class SandboxWorker {
  readonly #worker: Worker;
  readonly #control = new Int32Array(
    new SharedArrayBuffer(CONTROL_LENGTH * Int32Array.BYTES_PER_ELEMENT),
  );
  #listener: WorkerListener | undefined;
  #dead = false;
  #runs = 0;

  /** @param oneShot the worker compiles the engine itself and builds no second sandbox */
  constructor(oneShot: boolean) {
    const data: WorkerData = {
      control: this.#control,
      wasmModule: oneShot ? undefined : compiledEngine(),
      prebuild: !oneShot,
      memoryBytes: DEFAULT_LIMITS.memoryBytes,
    };
    this.#worker = new Worker(artifactUrl("interpreter-worker.cjs"), {
      workerData: data,
      env: {},
      argv: [],
      execArgv: [],
      stdout: true,
      stderr: true,
      resourceLimits: WORKER_RESOURCES,
    });
    this.#worker.on("message", (message: unknown) => this.#listener?.onMessage(message));
    this.#worker.on("messageerror", () => this.#listener?.onMessage(undefined));
    this.#worker.on("error", (error: NodeJS.ErrnoException) => {
      this.#die(error);
    });
    this.#worker.on("exit", () => this.#die(undefined));
    this.#worker.unref();
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Binds the worker to a session and gives the number of the run. */
  begin(listener: WorkerListener): number {
    this.#listener = listener;
    this.#runs += 1;
    Atomics.store(this.#control, CONTROL.stop, 0);
    this.#worker.ref();
    return this.#runs;
  }

  /** Frees the worker from its session; an idle worker does not hold the process. */
  end(): void {
    this.#listener = undefined;
    this.#worker.unref();
  }

  post(message: MainMessage): void {
    this.#worker.postMessage(message);
    Atomics.add(this.#control, CONTROL.wake, 1);
    Atomics.notify(this.#control, CONTROL.wake);
  }

  /** Tells the worker that its output was taken, so that it may send more. */
  takeOutput(length: number): void {
    Atomics.add(this.#control, CONTROL.outputTaken, length);
    Atomics.notify(this.#control, CONTROL.outputTaken);
  }

  /** Asks the script to end; a worker that does not within the grace has to be killed. */
  stop(reason: number): void {
    Atomics.store(this.#control, CONTROL.stop, reason);
    Atomics.notify(this.#control, CONTROL.outputTaken);
    this.post({ type: "stop" });
  }

  /** Lets a session go on that was stopped, with what came meanwhile. */
  resume(): void {
    Atomics.store(this.#control, CONTROL.stop, STOP.none);
    this.post({ type: "stop" });
  }

  /** Ends the thread, whatever it is doing; its session learns of its death. */
  async kill(): Promise<void> {
    this.#dead = true;
    await this.#worker.terminate();
  }

  #die(error: NodeJS.ErrnoException | undefined): void {
    const listener = this.#listener;
    this.#dead = true;
    this.#listener = undefined;
    listener?.onDeath(error);
  }
}
