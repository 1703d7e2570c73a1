/**
 * The connection to the Docker daemon that DOCKER_HOST names. Every request of the driver goes
 * through `call`, which bounds its time and speaks the error registry.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import Docker from "dockerode";
import { SpacesError } from "../../contract/errors.js";
import { toSpacesError } from "./errors.js";

/** Long enough for a busy daemon, short enough that nobody believes the call hangs. */
const CALL_TIMEOUT_MS = 30_000;

/** Time for work that takes the daemon a while: creating, starting, removing. */
export const LIFECYCLE_TIMEOUT_MS = 120_000;

/** The daemon's machine: its architecture as the kernel names it, and limits it can enforce. */
export interface DaemonHost {
  readonly architecture: string;
  readonly memoryLimit: boolean;
  readonly cpuLimit: boolean;
  readonly pidsLimit: boolean;
  /** Whether it is Docker Desktop's virtual machine, whose unix sockets do not reach this machine. */
  readonly virtualMachine: boolean;
}

interface DaemonInfo {
  readonly OperatingSystem: string;
  readonly Architecture: string;
  readonly MemoryLimit: boolean;
  readonly CpuCfsQuota: boolean;
  readonly PidsLimit: boolean;
}

interface CallOptions {
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A Docker daemon. Connecting happens at each call; making one costs nothing and cannot fail. */
export class DockerEngine {
  /** Where the daemon is expected, for people to read. */
  readonly address = process.env.DOCKER_HOST || defaultAddress();
  #docker: Docker | undefined;
  #host: Promise<DaemonHost> | undefined;

  /**
   * Sends one request.
   * @param doing what is tried, to follow "Docker could not".
   * @throws SpacesError `DRIVER_UNAVAILABLE` when the daemon cannot be reached or does not answer
   *   in time, `CANCELLED` when the caller's signal fired, `DRIVER_FAILED` otherwise.
   */
  async call<T>(
    doing: string,
    request: (docker: Docker, abortSignal: AbortSignal) => Promise<T>,
    { timeoutMs = CALL_TIMEOUT_MS, signal }: CallOptions = {},
  ): Promise<T> {
    // A controller of our own: an upgraded socket would die with a timer that still runs.
    const controller = new AbortController();
    const stopped = new Promise<never>((_resolve, reject) => {
      controller.signal.addEventListener("abort", () => reject(controller.signal.reason));
    });
    const cancel = () => controller.abort();
    const wasCancelled = () => signal?.aborted === true;
    if (wasCancelled()) throw cancelled(doing);
    signal?.addEventListener("abort", cancel, { once: true });
    const timer = setTimeout(cancel, timeoutMs);
    try {
      // Raced as well as aborted: not every request of dockerode's can be aborted.
      return await Promise.race([request(this.docker(), controller.signal), stopped]);
    } catch (error) {
      if (wasCancelled()) throw cancelled(doing);
      if (controller.signal.aborted) {
        throw new SpacesError(
          "DRIVER_UNAVAILABLE",
          `Docker could not ${doing}: the daemon at ${this.address} did not answer within ${timeoutMs} ms.`,
          { cause: error },
        );
      }
      throw toSpacesError(error, doing, this.address);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    }
  }

  /** The client, made at first use: a bad DOCKER_HOST or certificate path throws only here. */
  docker(): Docker {
    this.#docker ??= new Docker();
    return this.#docker;
  }

  /** What the daemon's machine is and can do; asked once. */
  host(): Promise<DaemonHost> {
    this.#host ??= this.call("read the daemon's properties", async (docker) => {
      const info: DaemonInfo = await docker.info();
      return {
        architecture: info.Architecture,
        memoryLimit: info.MemoryLimit,
        cpuLimit: info.CpuCfsQuota,
        pidsLimit: info.PidsLimit,
        virtualMachine: info.OperatingSystem === "Docker Desktop",
      };
    }).catch((error: unknown) => {
      this.#host = undefined;
      throw error;
    });
    return this.#host;
  }
}

/** Where dockerode looks when DOCKER_HOST names nothing. */
function defaultAddress(): string {
  if (process.platform === "win32") return "npipe:////./pipe/docker_engine";
  const ofUser = join(homedir(), ".docker/run/docker.sock");
  return `unix://${existsSync(ofUser) ? ofUser : "/var/run/docker.sock"}`;
}

function cancelled(doing: string): SpacesError {
  return new SpacesError("CANCELLED", `Cancelled before Docker could ${doing}.`);
}
