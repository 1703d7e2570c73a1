/*---
description: Reports the state of spaces, checks that what runs in them is well, and restarts those where it is not
inputs:
  command: {type: string, description: "Command line that ends with 0 in a space that is well; for spaces without the label health.command"}
  port: {type: integer, minimum: 1, maximum: 65535, description: "Port that something listens on in a space that is well; for spaces without the label health.port"}
  only: {type: array, items: {type: string}, description: "Names of the spaces to look at; all where none is given"}
  label: {type: array, items: {type: string}, description: "Only spaces with all of these labels, such as team=web"}
  failures: {type: integer, default: 3, minimum: 1, description: "Failed checks in a row after which a space is restarted"}
  interval: {type: number, default: 5, minimum: 0, description: "Seconds between the checks of one space"}
  timeout: {type: number, default: 10, minimum: 1, description: "Seconds that a check may take"}
  restarts: {type: integer, default: 3, minimum: 0, description: "How often a space is restarted"}
  backoff: {type: number, default: 10, minimum: 0, description: "Seconds from the first restart to the next check; twice as long after each further one"}
  json: {type: boolean, default: false, description: "Report as JSON"}
---*/
/**
 * A space is checked where it runs and has a check: the labels `health.command` or `health.port` of
 * its metadata, else those given here. The exit code is 1 where a space is in error or stays unwell.
 *
 *     spaces run scripts/health.ts
 *     spaces run scripts/health.ts -- --only web --port 8080 --failures 2
 */
import { exit, sleep_async } from "runtime";
import spaces, { type SpaceInfo } from "spaces";
import { exec, restart, start } from "spaces/async";
import { counted, inputs, reasonOf, refuse, type Selection, selected } from "./report.ts";

const given = inputs({
  failures: 3,
  interval: 5,
  timeout: 10,
  restarts: 3,
  backoff: 10,
  json: false,
  ...({} as Selection & { command?: string; port?: number }),
});
const { failures, interval, timeout, restarts, backoff, json } = given;

type Check = (space: string) => Promise<string | undefined>;

interface Health {
  space: string;
  status: string;
  driver: string;
  /** Whether it is well; absent where there is nothing to check. */
  healthy?: boolean;
  restarts: number;
  /** Why it is not well, or in error. */
  trouble?: string;
}

/** The check of a space; undefined where it has none. */
function checkOf({ name, metadata }: SpaceInfo): Check | undefined {
  const command = metadata["health.command"] ?? given.command;
  if (command !== undefined) return (space) => runs(space, command);
  const port = Number(metadata["health.port"] ?? given.port ?? 0);
  if (port === 0) return undefined;
  if (!(Number.isInteger(port) && port > 0 && port < 65_536)) {
    refuse(`${name}: "${metadata["health.port"]}" is no port.`);
  }
  return (space) => listens(space, port);
}

/** @returns why the command says that the space is not well */
async function runs(space: string, command: string): Promise<string | undefined> {
  const { exit_code, timed_out, output } = await exec(space, command, { timeout });
  if (timed_out) return `the check took longer than ${timeout} seconds`;
  const [line = ""] = output.trim().split("\n").slice(-1);
  return exit_code === 0 ? undefined : `the check ended with ${exit_code}${line && `: ${line}`}`;
}

/** The kernel tells which ports are listened on: so no program is needed for it but `cat`. */
async function listens(space: string, port: number): Promise<string | undefined> {
  const table = "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null";
  const { stdout } = await exec(space, table, { timeout });
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const isOpen = stdout.split("\n").some((line) => {
    const [, local = "", , state] = line.trim().split(/\s+/);
    return state === "0A" && local.endsWith(`:${hex}`);
  });
  return isOpen ? undefined : `nothing listens on port ${port}`;
}

/** Checks a few times, until it is well. @returns why it is not */
async function examine(space: string, check: Check): Promise<string | undefined> {
  for (let failed = 1; ; failed++) {
    const trouble = await check(space).catch(reasonOf);
    if (trouble === undefined || failed === failures) return trouble;
    await sleep_async(interval);
  }
}

async function look(space: SpaceInfo): Promise<Health> {
  const { name, status, driver, last_error } = space;
  const state = { space: name, status, driver, restarts: 0 };
  const check = checkOf(space);
  if (check === undefined || !(status === "running" || status === "error")) {
    return last_error === undefined ? state : { ...state, trouble: last_error.message };
  }
  let trouble = status === "error" ? last_error?.message : await examine(name, check);
  let restarted = 0;
  while (
    (trouble !== undefined || (status === "error" && restarted === 0)) &&
    restarted < restarts
  ) {
    restarted += 1;
    try {
      await (spaces.is_running(name) ? restart(name) : start(name));
      await sleep_async(backoff * 2 ** (restarted - 1));
      trouble = await examine(name, check);
    } catch (error) {
      trouble = reasonOf(error);
    }
  }
  const now = spaces.list().find(({ id }) => id === space.id)?.status ?? "destroyed";
  const healthy = trouble === undefined && now === "running";
  return {
    ...state,
    status: now,
    healthy,
    restarts: restarted,
    ...(trouble === undefined ? {} : { trouble }),
  };
}

function describe({ space, status, driver, healthy, restarts: times, trouble }: Health): string {
  const verdict = healthy === undefined ? "" : healthy ? ", healthy" : ", unhealthy";
  const restarted = times === 0 ? "" : `, restarted ${times === 1 ? "once" : `${times} times`}`;
  return `${space}: ${status} on ${driver}${verdict}${restarted}${trouble === undefined ? "" : ` - ${trouble}`}`;
}

const all = await Promise.all(selected(given).map(look));
const broken = all.filter(({ status }) => status === "error").length;
const unhealthy = all.filter(({ healthy }) => healthy === false).length;
if (json) {
  console.log(JSON.stringify({ spaces: all, broken, unhealthy }));
} else {
  for (const health of all) console.log(describe(health));
  const checked = all.some(({ healthy }) => healthy !== undefined);
  console.log(
    `${counted(all.length, "space")}, ${broken} in error${checked ? `, ${unhealthy} unhealthy` : ""}`,
  );
}
exit(broken + unhealthy === 0 ? 0 : 1);
