/** What Prometheus is told: operations, streams, connections, spaces, and the process itself. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Store } from "../store/store.js";

/** The process's own, of which there is one however many servers are open in it. */
let ofProcess: Registry | undefined;

function processMetrics(): Registry {
  if (ofProcess === undefined) {
    ofProcess = new Registry();
    collectDefaultMetrics({ register: ofProcess });
  }
  return ofProcess;
}

interface Sources {
  readonly store: Store;
  readonly connections: () => number;
  readonly mcpSessions: () => number;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #operations: Counter<"operation" | "result">;
  readonly #durations: Histogram<"operation">;
  readonly #inFlight: Gauge;
  readonly #streams: Gauge;

  constructor({ store, connections, mcpSessions }: Sources) {
    const registers = [this.#registry];
    this.#operations = new Counter({
      name: "spaces_operations_total",
      help: "Operations by their result: ok, or the code of the error.",
      labelNames: ["operation", "result"],
      registers,
    });
    this.#durations = new Histogram({
      name: "spaces_operation_duration_seconds",
      help: "Time until the answer of an operation was sent; streams are left out.",
      labelNames: ["operation"],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    });
    this.#inFlight = new Gauge({
      name: "spaces_operations_in_flight",
      help: "Operations under way, streams left out.",
      registers,
    });
    this.#streams = new Gauge({
      name: "spaces_streams_open",
      help: "Streams and attachments that are open.",
      registers,
    });
    new Gauge({
      name: "spaces_connections_open",
      help: "Connections that are open.",
      registers,
      collect() {
        this.set(connections());
      },
    });
    new Gauge({
      name: "spaces_mcp_sessions_open",
      help: "MCP sessions that are open.",
      registers,
      collect() {
        this.set(mcpSessions());
      },
    });
    new Gauge({
      name: "spaces_spaces",
      help: "Spaces by status.",
      labelNames: ["status"],
      registers,
      async collect() {
        const rows = await store
          .selectFrom("spaces")
          .select((select) => ["status", select.fn.countAll<number>().as("count")])
          .where("status", "!=", "destroyed")
          .groupBy("status")
          .execute();
        this.reset();
        this.set({ status: "running" }, 0);
        for (const { status, count } of rows) this.set({ status }, count);
      },
    });
  }

  /** Notes that an operation has begun; gives what is to be called with its result at its end. */
  begin(operation: string, isStream: boolean): (result: string) => void {
    const gauge = isStream ? this.#streams : this.#inFlight;
    gauge.inc();
    const end = isStream ? undefined : this.#durations.startTimer({ operation });
    return (result) => {
      gauge.dec();
      end?.();
      this.#operations.inc({ operation, result });
    };
  }

  /** All figures, in the text form that Prometheus reads. */
  async text(): Promise<string> {
    return await Registry.merge([this.#registry, processMetrics()]).metrics();
  }

  /** The content type of `text`. */
  get contentType(): string {
    return this.#registry.contentType;
  }
}
