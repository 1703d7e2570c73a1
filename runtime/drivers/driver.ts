/**
 * What a driver is: the place where spaces live. The engine calls drivers through this interface
 * only; a driver knows neither the store nor the contract's routes.
 */
import type { Readable, Writable } from "node:stream";

/** Resource limits of a space; what is absent is not limited. */
export interface ResourceLimits {
  readonly memoryBytes?: number | undefined;
  /** CPUs as a fraction, such as 0.5. */
  readonly cpus?: number | undefined;
  readonly pids?: number | undefined;
}

/** `open`: reaches the outside; `internal`: only other spaces; `none`: only itself. */
export type NetworkMode = "open" | "internal" | "none";

/** All that a driver needs to know of a space. Paths are absolute paths of the host. */
export interface SpaceSpec {
  readonly id: string;
  readonly name: string;
  /** Id of whose it is; spaces of different owners share nothing. */
  readonly owner: string;
  /** Host directory that appears in the space as its workspace (`workdir`). Exists already. */
  readonly workspace: string;
  /** Host directory for the driver's own files about this space. Exists already; not visible inside. */
  readonly stateDir: string;
  /** Where the workspace appears inside, such as `/workspace`. */
  readonly workspaceMount: string;
  /** Directory in which commands start. */
  readonly workdir: string;
  readonly shell: string;
  readonly image?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly resources: ResourceLimits;
  readonly network: NetworkMode;
  /** `uid:gid` or a user name of the image; the owner's uid when absent. */
  readonly user?: string | undefined;
}

/** What a driver can honour. An option outside of this is an `UNSUPPORTED` error, never ignored. */
export interface DriverFeatures {
  /** Runs programs of the operating system. */
  readonly nativePrograms: boolean;
  readonly images: boolean;
  /** The shells it offers; undefined where that is the image's business. */
  readonly shells?: readonly string[];
  /** Network modes a space can be created with. */
  readonly network: readonly NetworkMode[];
  readonly limits: readonly (keyof ResourceLimits)[];
  /** Output arrives while the process runs. */
  readonly streaming: boolean;
  readonly pty: boolean;
  readonly ports: boolean;
}

export type ProbeResult =
  | { readonly usable: true; readonly version: string }
  | { readonly usable: false; readonly reason: string; readonly remedy: string };

/** A process to start in a running space. */
export interface SpawnRequest {
  /** Program and arguments; executed directly, never through a shell. */
  readonly argv: readonly [string, ...string[]];
  /** Absolute directory inside of the space; the space's `workdir` when absent. */
  readonly workdir?: string | undefined;
  /** Added to the space's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. Without it standard input is empty. */
  readonly input?: Uint8Array | undefined;
}

/** How a process ended: an exit code, or the signal that killed it (then the code is 128 + n). */
export interface ProcessExit {
  readonly exitCode: number;
  readonly signal?: string | undefined;
}

/**
 * A process in a space. Both streams must be read (they apply back-pressure); they end soon after
 * the process itself, even when a background child still holds them open.
 */
export interface GuestProcess {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Resolves when the process itself has ended; does not wait for its background children.
   * Rejects with a `SpacesError` when the outcome is unknown (`DRIVER_FAILED`) or the program could
   * not be started (`COMMAND_NOT_FOUND`, `INVALID_INPUT` for a bad workdir).
   */
  readonly exit: Promise<ProcessExit>;
  /** Kills the process and everything it started. Resolves when they are gone; safe to call twice. */
  kill(): Promise<void>;
}

/** A size of a terminal, in characters. */
export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** A process to start that lives on when its caller has gone. */
export interface BackgroundRequest extends Omit<SpawnRequest, "input"> {
  /** 32 hexadecimal digits that no other process of the space has. */
  readonly id: string;
  /** Whether standard input stays open for `attach`; otherwise it is empty. */
  readonly keepInput: boolean;
  /** Runs it in a terminal; all of its output comes on stdout then. */
  readonly terminal?: TerminalSize | undefined;
}

/** A process as the space itself remembers it. */
export interface ProcessRecord {
  readonly id: string;
  readonly pid: number;
  /** The first arguments; long ones are cut. */
  readonly argv: readonly string[];
  readonly startedAt: Date;
  readonly terminal: boolean;
  /** How it ended; absent while it runs. */
  readonly exit?: ProcessExit | undefined;
}

export interface AttachOptions {
  /** Bytes of each output that the caller has already. */
  readonly stdout: number;
  readonly stderr: number;
  /** Takes over standard input from whoever has it. */
  readonly input: boolean;
}

/** A background process that is being followed; disposing leaves it running. */
export interface AttachedProcess extends GuestProcess, AsyncDisposable {
  readonly stdin: Writable;
  /** Bytes that were asked for and are no longer kept. */
  readonly lost: { readonly stdout: number; readonly stderr: number };
}

/** The processes of a space that outlive their callers. Ids that are unknown are `PROCESS_NOT_FOUND`. */
export interface BackgroundProcesses {
  start(request: BackgroundRequest): Promise<void>;
  attach(id: string, options: AttachOptions): Promise<AttachedProcess>;
  list(): Promise<readonly ProcessRecord[]>;
  /** Sends a signal such as `SIGTERM` to the process group; nothing where it has ended. */
  signal(id: string, signal: string): Promise<void>;
  /** Kills the process and everything it started. */
  kill(id: string): Promise<void>;
  resize(id: string, size: TerminalSize): Promise<void>;
  /** Forgets a process that has ended. */
  release(id: string): Promise<void>;
}

/** A way into a running space. */
export interface GuestConnection extends AsyncDisposable {
  /** Starts a process that dies with the connection. */
  spawn(request: SpawnRequest): Promise<GuestProcess>;
  /** Absent where processes cannot outlive their caller. */
  readonly background?: BackgroundProcesses | undefined;
}

/** Where the agent of a running space listens on the host. */
export interface AgentEndpoint {
  /** Path of its unix socket. */
  readonly socket: string;
  /** Hexadecimal; who has it can do in the space all that the space's user can. */
  readonly token: string;
}

export interface DriverSpaceState {
  readonly spaceId: string;
  readonly running: boolean;
  /**
   * How commands get in, where a driver knows two ways: `agent`, or `exec` where the agent cannot
   * run; then commands are slow to start, and there are no terminals, background processes or ports.
   */
  readonly access?: "agent" | "exec" | undefined;
}

/** Progress of long work, such as the pull of an image. */
export type ProgressListener = (message: string) => void;

export interface DriverCallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ProgressListener | undefined;
}

/**
 * A driver. Every method throws a `SpacesError`: `DRIVER_UNAVAILABLE` when the driver's service is
 * gone, `DRIVER_FAILED` otherwise. All are idempotent: the engine repeats them after a crash.
 */
export interface Driver extends AsyncDisposable {
  readonly name: string;
  readonly features: DriverFeatures;
  /** Whether the driver works on this machine, and if not, why and what to do. Never throws. */
  probe(): Promise<ProbeResult>;
  /** Makes what the space needs, stopped. Does nothing where it exists already. */
  create(space: SpaceSpec, options?: DriverCallOptions): Promise<void>;
  /** Starts the space; creates it first where it is missing. Does nothing where it runs. */
  start(space: SpaceSpec, options?: DriverCallOptions): Promise<void>;
  /** Opens a way into a running space; `SPACE_NOT_RUNNING` when it does not run. */
  connect(space: SpaceSpec): Promise<GuestConnection>;
  /** The agent of a running space, for port forwards; undefined where the space runs without one. */
  endpoint(space: SpaceSpec): Promise<AgentEndpoint | undefined>;
  /** Stops the space and everything in it, within a few seconds. Does nothing where it is stopped. */
  stop(space: SpaceSpec, options?: DriverCallOptions): Promise<void>;
  /**
   * Empties the workspace of a space that does not run, where the engine itself cannot: files of
   * other users, directories nested without end.
   */
  emptyWorkspace(space: SpaceSpec): Promise<void>;
  /** Removes everything of the space but its workspace and state directories. */
  destroy(spaceId: string): Promise<void>;
  /** The state of one space, or undefined where the driver has nothing of it. */
  inspect(spaceId: string): Promise<DriverSpaceState | undefined>;
  /** All that this driver has of this installation's spaces, for reconciliation. */
  list(): Promise<readonly DriverSpaceState[]>;
}

/** What a driver is made with. */
export interface DriverContext {
  /** Identifies this data directory; the driver labels what it makes with it. */
  readonly installationId: string;
  /**
   * Absolute host path of the data directory. A driver without a service of its own keeps its
   * records in `<dataDir>/<driver name>/`, where every process of the installation finds them.
   */
  readonly dataDir: string;
}
