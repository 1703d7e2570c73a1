/**
 * The workers of an interpreter: each runs one script at a time; when all are busy a bounded queue
 * waits, and beyond it a run is refused.
 */
import { SpacesError } from "../contract/errors.js";
import { IDLE_WORKER_MS } from "./limits.js";
import { SandboxWorker } from "./sandbox-worker.js";

export interface PoolOptions {
  /** Workers kept ready. */
  readonly minWorkers: number;
  readonly maxWorkers: number;
  /** Runs that wait for a worker. */
  readonly maxQueued: number;
  readonly oneShot: boolean;
}

interface Waiter {
  readonly take: (worker: SandboxWorker) => void;
  readonly refuse: (error: SpacesError) => void;
}

export class WorkerPool {
  readonly #options: PoolOptions;
  readonly #workers = new Set<SandboxWorker>();
  readonly #idle: { readonly worker: SandboxWorker; readonly since: number }[] = [];
  readonly #queue = new Set<Waiter>();
  #shrinking: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#fill();
  }

  /**
   * Gives a worker that is bound to the caller until it is released.
   *
   * @throws SpacesError `LIMIT_EXCEEDED` when all workers are busy and the queue is full,
   *   `CANCELLED` when the signal or the pool's end came first
   */
  async acquire(signal: AbortSignal | undefined): Promise<SandboxWorker> {
    if (this.#closed) {
      throw new SpacesError("CANCELLED", "The interpreter is closed.");
    }
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.worker.dead) {
        return idle.worker;
      }
      this.#workers.delete(idle.worker);
    }
    if (this.#workers.size < this.#options.maxWorkers) {
      return this.#spawn();
    }
    if (this.#queue.size >= this.#options.maxQueued) {
      throw new SpacesError(
        "LIMIT_EXCEEDED",
        `All ${this.#options.maxWorkers} script workers are busy and ` +
          `${this.#options.maxQueued} scripts wait already.`,
        { suggestion: "Run fewer scripts at once, or raise the number of workers." },
      );
    }
    return await this.#enqueue(signal);
  }

  /** Takes a worker back; one that died or was killed is replaced where it is needed. */
  release(worker: SandboxWorker): void {
    worker.end();
    if (worker.dead || this.#options.oneShot || this.#closed) {
      this.#workers.delete(worker);
      void worker.kill();
      if (!this.#closed && !this.#options.oneShot) {
        this.#fill();
        this.#serve(() => this.#spawn());
      }
      return;
    }
    if (!this.#serve(() => worker)) {
      this.#idle.push({ worker, since: performance.now() });
      this.#shrink();
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Ends all workers. Sessions that run learn of the death of their worker. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#shrinking);
    for (const waiter of this.#queue) {
      waiter.refuse(new SpacesError("CANCELLED", "The interpreter was closed."));
    }
    this.#queue.clear();
    const workers = [...this.#workers];
    this.#workers.clear();
    this.#idle.length = 0;
    await Promise.all(workers.map((worker) => worker.kill()));
  }

  #spawn(): SandboxWorker {
    const worker = new SandboxWorker(this.#options.oneShot);
    this.#workers.add(worker);
    return worker;
  }

  #fill(): void {
    while (this.#workers.size < this.#options.minWorkers) {
      this.#idle.unshift({ worker: this.#spawn(), since: performance.now() });
    }
  }

  #serve(give: () => SandboxWorker): boolean {
    const [waiter] = this.#queue;
    if (waiter === undefined) {
      return false;
    }
    this.#queue.delete(waiter);
    waiter.take(give());
    return true;
  }

  #enqueue(signal: AbortSignal | undefined): Promise<SandboxWorker> {
    return new Promise((resolve, reject) => {
      const cancel = () => {
        this.#queue.delete(waiter);
        reject(new SpacesError("CANCELLED", "The script was cancelled before it began."));
      };
      const waiter: Waiter = {
        take: (worker) => {
          signal?.removeEventListener("abort", cancel);
          resolve(worker);
        },
        refuse: (error) => {
          signal?.removeEventListener("abort", cancel);
          reject(error);
        },
      };
      this.#queue.add(waiter);
      signal?.addEventListener("abort", cancel, { once: true });
    });
  }

  /** Lets go of workers that have idled for long, down to the minimum. */
  #shrink(): void {
    if (this.#shrinking !== undefined || this.#workers.size <= this.#options.minWorkers) {
      return;
    }
    this.#shrinking = setTimeout(() => {
      this.#shrinking = undefined;
      const now = performance.now();
      while (this.#workers.size > this.#options.minWorkers) {
        const oldest = this.#idle[0];
        if (oldest === undefined || now - oldest.since < IDLE_WORKER_MS) {
          break;
        }
        this.#idle.shift();
        this.#workers.delete(oldest.worker);
        void oldest.worker.kill();
      }
      if (this.#idle.length > 0) {
        this.#shrink();
      }
    }, IDLE_WORKER_MS);
    this.#shrinking.unref();
  }
}
