/**
 * Ends processes in a container, for which Docker has no request: the tree of one command, or all
 * of them before the container is stopped. Called by the guest process and by the driver's `stop`.
 */
import { setTimeout as delay } from "node:timers/promises";
import { SpacesError } from "../../contract/errors.js";
import { type ExecResult, runExec, type Target } from "./exec.js";
import { killOnHost } from "./host-kill.js";
import { KEEPER_PATH } from "./keeper.js";

/** Set to a random value for each command and inherited by all that the command starts. */
export const MARKER_VARIABLE = "SPACES_EXEC";

const KILL_DEADLINE_MS = 15_000;
const NOTHING_LEFT = 0;

/**
 * Kills a command's processes: those that carry its marker, their children, and what shares a
 * session with them. All are halted before the first is killed, so that none is born in between or
 * loses the parent by which it is known. Only builtins of `sh`: there may be no program to call and
 * no room for another process. Exit code 0: nothing is left.
 */
const KILL_SCRIPT = `
mark=$1 sessions=' '
belongs() {
  state= parent= session= threads=
  while read -r key value rest; do
    case $key in
      State:) state=$value ;; PPid:) parent=$value ;; Threads:) threads=$value ;;
      NSsid:) session=$value ;;
    esac
  done 2>/dev/null <"/proc/$1/status" || return 1
  [ "$state" = Z ] && [ "$threads" = 1 ] && return 1
  case $halted in *" $parent "*) return 0 ;; esac
  case $sessions in *" $session "*) return 0 ;; esac
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *"${MARKER_VARIABLE}=$mark"*) return 0 ;; esac
  done 2>/dev/null <"/proc/$1/environ"
  return 1
}
round=0
while [ $round -lt 200 ]; do
  round=$((round + 1)) halted=' '
  found=1
  while [ -n "$found" ]; do
    found=
    for entry in /proc/[0-9]*; do
      pid=\${entry#/proc/}
      [ "$pid" = 1 ] || [ "$pid" = $$ ] && continue
      case $halted in *" $pid "*) continue ;; esac
      belongs "$pid" || continue
      kill -STOP "$pid" 2>/dev/null
      halted="$halted$pid " found=1
      [ "$session" -gt 1 ] 2>/dev/null && sessions="$sessions$session "
    done
  done
  [ "$halted" = ' ' ] && exit 0
  for pid in $halted; do kill -KILL "$pid" 2>/dev/null; done
done
exit 1
`;

/**
 * Asks everything in the container to end, and waits some seconds while it does. Without `sleep`
 * in the image nobody can wait there: then what is slow to end is killed with the container.
 */
const TERMINATE_SCRIPT = `
signal=TERM round=0
while [ $round -lt 30 ]; do
  round=$((round + 1)) left=
  for entry in /proc/[0-9]*; do
    pid=\${entry#/proc/}
    [ "$pid" = 1 ] || [ "$pid" = $$ ] && continue
    command=
    IFS= read -r command 2>/dev/null <"$entry/cmdline"
    case $command in ''|${KEEPER_PATH}) continue ;; esac
    kill -$signal "$pid" 2>/dev/null && left=1
  done
  [ -z "$left" ] && exit 0
  signal=0
  sleep 0.1 2>/dev/null || exit 0
done
`;

interface KillRequest {
  readonly target: Target;
  readonly marker: string;
}

/**
 * Kills a command with everything it started, also what has left its session and what ignores
 * SIGTERM. A process escapes only if it cleared its environment, left the session, and its parent
 * is gone. Resolves when nothing is left; a container that does not run has nothing left.
 * @throws SpacesError `DRIVER_FAILED` when processes remain or nothing there can be looked at.
 */
export async function killTree({ target, marker }: KillRequest): Promise<void> {
  const deadline = Date.now() + KILL_DEADLINE_MS;
  let obstacle = "processes of it remain";
  for (let pause = 10; Date.now() < deadline; pause = Math.min(pause * 2, 500)) {
    const result = await runScript(target, KILL_SCRIPT, [marker], deadline - Date.now());
    if (result === undefined) return;
    if (result.state.phase === "ended" && result.state.exitCode === NOTHING_LEFT) return;
    if (result.state.phase === "refused") {
      // No shell in the image, or no room for one more process.
      obstacle = `no shell runs there to find its processes (${result.output})`;
      if (await killOnHost(target, MARKER_VARIABLE, marker)) return;
    }
    await delay(pause);
  }
  throw new SpacesError(
    "DRIVER_FAILED",
    `A command in space "${target.spaceName}" could not be killed: ${obstacle}.`,
    { suggestion: "Stop the space: that ends everything in it." },
  );
}

/** Sends SIGTERM to all of the space's processes and waits up to 3 s for their end. */
export async function terminateAll(target: Target): Promise<void> {
  await runScript(target, TERMINATE_SCRIPT, [], 5000);
}

/** Runs a script in the container; nothing when the container does not run. */
async function runScript(
  target: Target,
  script: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<ExecResult | undefined> {
  try {
    return await runExec(
      target,
      { argv: ["/bin/sh", "-c", script, "sh", ...args], workdir: "/" },
      timeoutMs,
    );
  } catch (error) {
    if (SpacesError.isInstance(error) && error.code === "SPACE_NOT_RUNNING") return undefined;
    throw error;
  }
}
