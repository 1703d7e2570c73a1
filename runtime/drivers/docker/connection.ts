/**
 * The way into a running container by `docker exec`. Made by the driver's `connect`.
 */
import { randomBytes } from "node:crypto";
import { posix } from "node:path";
import { SpacesError } from "../../contract/errors.js";
import { checkProgram } from "../agent-connection.js";
import type { GuestConnection, SpawnRequest } from "../driver.js";
import { startExec, type Target } from "./exec.js";
import { DockerProcess } from "./guest-process.js";
import { MARKER_VARIABLE } from "./kill.js";

/** See `GuestConnection`. */
export class DockerConnection implements GuestConnection {
  readonly #target: Target;
  readonly #workdir: string;
  readonly #live = new Set<DockerProcess>();
  #closed = false;

  constructor(target: Target, workdir: string) {
    this.#target = target;
    this.#workdir = workdir;
  }

  /**
   * @throws SpacesError `INVALID_INPUT` for a value that no program can be given,
   *   `SPACE_NOT_RUNNING` when the container has ended.
   */
  async spawn(request: SpawnRequest): Promise<DockerProcess> {
    if (this.#closed) throw closedError(this.#target.spaceName);
    const workdir = checkedWorkdir(request.workdir ?? this.#workdir);
    checkProgram(request);
    const marker = randomBytes(16).toString("hex");
    const { id, socket } = await startExec(this.#target, {
      argv: request.argv,
      workdir,
      env: { ...request.env, [MARKER_VARIABLE]: marker },
      input: request.input,
    });
    const child = new DockerProcess({
      target: this.#target,
      execId: id,
      socket,
      marker,
      program: request.argv[0],
      workdir,
    });
    this.#live.add(child);
    const forget = () => this.#live.delete(child);
    child.exit.then(forget, forget);
    return child;
  }

  /** Lets go of what still runs; it runs on in the space. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const child of this.#live) child.abandon(closedError(this.#target.spaceName));
    await Promise.allSettled([...this.#live].map((child) => child.exit));
  }
}

/**
 * Docker enters the directory before the program runs, on the way from outside: below `/proc` there
 * can be doors back out.
 */
function checkedWorkdir(workdir: string): string {
  const path = posix.normalize(workdir);
  if (!posix.isAbsolute(path) || path.includes("\0")) {
    throw invalid(`The working directory ${JSON.stringify(workdir)} is not an absolute path.`);
  }
  if (/^\/{1,2}proc(\/|$)/.test(path)) {
    throw invalid(`The working directory "${workdir}" is in /proc, where no command may start.`);
  }
  return path;
}

function invalid(message: string): SpacesError {
  return new SpacesError("INVALID_INPUT", message);
}

function closedError(spaceName: string): SpacesError {
  return new SpacesError("DRIVER_FAILED", `The connection to space "${spaceName}" was closed.`, {
    suggestion: "Connect again; what was running there runs on.",
  });
}
