/**
 * Starts and ends the processes of a space, and removes what they leave on the host. Called by the
 * driver, which sees to it that nobody else does the same at the same time.
 */
import { chmod, chown, mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import type { SpaceSpec } from "../driver.js";
import { agentProgram } from "./agent-program.js";
import { waitForAgent } from "./agent-socket.js";
import { joinCgroups, makeCgroups, removeCgroups } from "./cgroups.js";
import {
  bootId,
  isAlive,
  processesNaming,
  processOf,
  signalProcess,
  waitForEnd,
} from "./host-process.js";
import { giveTree } from "./host-user.js";
import { type Launched, launch, launchError } from "./launch.js";
import type { LimitPlan } from "./limits.js";
import type { BubblewrapProgram } from "./program.js";
import type { SpaceRecord, StartRecord } from "./record.js";
import { AGENT_PATH, hostNameOf, RUN_PATH } from "./sandbox.js";

/** How long the processes have for their end once they were asked to end. */
const GRACE_MS = 2000;
const KILL_MS = 5000;
const READY_MS = 30_000;

interface StartRequest {
  readonly space: SpaceSpec;
  readonly program: BubblewrapProgram;
  readonly uid: number | undefined;
  readonly limits: LimitPlan;
  /** Host directory for the agent's socket; made here. */
  readonly runDirectory: string;
  readonly start: StartRecord;
  readonly signal: AbortSignal | undefined;
  save(start: StartRecord): Promise<void>;
  forget(): Promise<void>;
}

/**
 * Starts a space; resolves when its agent takes connections.
 * @throws SpacesError `DRIVER_FAILED`, `UNSUPPORTED` for a limit, `CANCELLED`; nothing is left then
 */
export async function startSpace(request: StartRequest): Promise<void> {
  const { runDirectory, save, forget } = request;
  const start = { ...request.start, socket: join(runDirectory, request.start.id) };
  // Recorded first: whoever comes after a crash knows what to look for.
  await save(start);
  try {
    await prepare(request);
    const launched = await launchAgent(request);
    try {
      await save(await bringUp(request, start, launched));
    } finally {
      launched.detach();
    }
  } catch (error) {
    await endSpace({ start });
    await cleanUp({ start }, runDirectory);
    await forget();
    throw error;
  }
}

async function prepare({ space, uid, limits, runDirectory }: StartRequest): Promise<void> {
  await mkdir(runDirectory, { mode: 0o700 });
  if (uid !== undefined) {
    await chown(runDirectory, uid, uid);
    await giveTree(space.workspace, uid);
  }
  await makeCgroups(limits.cgroups);
}

function launchAgent({ space, program, uid, limits, runDirectory, start }: StartRequest) {
  return launch({
    program,
    uid,
    hostname: hostNameOf(space.name),
    home: space.workspaceMount,
    binds: [
      { source: agentProgram(), target: AGENT_PATH, writable: false },
      { source: runDirectory, target: RUN_PATH, writable: true },
      { source: space.workspace, target: space.workspaceMount, writable: true },
    ],
    env: { SPACES_GUEST_TOKEN: start.token },
    // The start's id makes its processes known by their command lines.
    command: [...limits.wrapper, AGENT_PATH, "serve", `${RUN_PATH}/${start.id}`],
  });
}

/** Lets the agent begin within its limits, waits for it, and gives what there is to record. */
async function bringUp(
  { space, uid, limits, runDirectory, signal }: StartRequest,
  start: StartRecord,
  launched: Launched,
): Promise<StartRecord> {
  const agent = processOf(launched.mainPid);
  const monitor = launched.monitorPid === undefined ? undefined : processOf(launched.monitorPid);
  if (agent === undefined) throw await endedEarly(launched);
  try {
    await joinCgroups(limits.cgroups, agent.pid);
  } catch (error) {
    throw isAlive(agent) ? error : await endedEarly(launched);
  }
  launched.release();
  const deadline = Date.now() + READY_MS;
  const goesOn = () => isAlive(agent) && Date.now() < deadline && signal?.aborted !== true;
  if (!(await waitForAgent(start.socket, goesOn))) {
    if (signal?.aborted === true) {
      throw new SpacesError("CANCELLED", `The start of space "${space.name}" was cancelled.`);
    }
    throw isAlive(agent)
      ? launchError(`its agent does not answer within ${READY_MS} ms`)
      : await endedEarly(launched);
  }
  if (uid !== undefined) {
    // From here on the space can put nothing else in the place of its socket.
    await chown(runDirectory, 0, 0);
    await chmod(runDirectory, 0o711);
  }
  return { ...start, agent, monitor };
}

/** The error of a space whose main process has ended, with what bubblewrap or the agent said. */
async function endedEarly(launched: Launched): Promise<SpacesError> {
  await Promise.race([launched.ended, delay(GRACE_MS, undefined, { ref: false })]);
  return launchError(launched.stderr || "it ended at once");
}

/** Ends all processes of a space: first asks, then kills. Does nothing where none runs. */
export async function endSpace({ start }: SpaceRecord): Promise<void> {
  if (start === undefined || start.bootId !== bootId()) return;
  const { agent, monitor } = start;
  if (agent === undefined) {
    // The starter died in the middle of it.
    await endUnrecorded(start.id);
    return;
  }
  if (signalProcess(agent, "SIGTERM") && !(await waitForEnd(agent, GRACE_MS))) {
    // With the first process of its namespace, the kernel ends all others.
    signalProcess(agent, "SIGKILL");
    if (!(await waitForEnd(agent, KILL_MS))) throw unkillable(agent.pid);
  }
  if (monitor !== undefined && !(await waitForEnd(monitor, GRACE_MS))) {
    signalProcess(monitor, "SIGKILL");
    await waitForEnd(monitor, KILL_MS);
  }
}

async function endUnrecorded(startId: string): Promise<void> {
  const deadline = Date.now() + KILL_MS;
  for (;;) {
    // Parents may have been about to start children: look again until there are none.
    const found = await processesNaming(`${RUN_PATH}/${startId}`);
    const [first] = found;
    if (first === undefined) return;
    for (const process of found) signalProcess(process, "SIGKILL");
    if (!(await waitForEnd(first, KILL_MS)) || Date.now() > deadline) throw unkillable(first.pid);
  }
}

function unkillable(pid: number): SpacesError {
  return new SpacesError("DRIVER_FAILED", `The process ${pid} of the space does not end.`, {
    suggestion: "It waits for something in the kernel; try again when that is over.",
  });
}

/** Removes what ended processes of a space have left: control groups and the socket's directory. */
export async function cleanUp({ start }: SpaceRecord, runDirectory: string): Promise<void> {
  if (start !== undefined) {
    if (start.agent === undefined && start.bootId === bootId()) await endUnrecorded(start.id);
    await removeCgroups(start.cgroups);
  }
  await rm(runDirectory, { recursive: true, force: true });
}
