/** `spaces doctor`: says what is usable here, what is not, why, and what to do. */
import type { Command } from "commander";
import { SpacesError } from "../runtime/contract/errors.js";
import type { SystemInfo } from "../runtime/contract/system.js";
import { VERSION } from "../runtime/version.js";
import { describeSchedules, examineSchedules, type ScheduleFindings } from "./doctor-schedules.js";
import type { ServerFindings } from "./doctor-server.js";
import { EXIT } from "./exit-codes.js";
import { toSpacesError } from "./failures.js";
import { examples } from "./help.js";
import type { Output } from "./output.js";
import type { Session } from "./session.js";
import { printable } from "./text.js";

/** The oldest Node that the package supports, as in its `engines`. */
const NODE_FLOOR: readonly [number, number] = [20, 19];

export interface Problem {
  readonly what: string;
  readonly reason: string;
  readonly remedy: string;
}

interface Findings {
  /** Whether spaces can be used at all. */
  readonly ok: boolean;
  readonly version: string;
  readonly node: { readonly version: string; readonly ok: boolean };
  readonly server: ServerFindings | undefined;
  readonly info: SystemInfo | undefined;
  /** Undefined where they cannot be looked at. */
  readonly schedules: ScheduleFindings | undefined;
  readonly problems: readonly Problem[];
}

export function defineDoctor(program: Command, session: Session): void {
  const command = program
    .command("doctor")
    .summary("check what is usable here")
    .description(
      "Check Node, the data directory or the server that is configured, every driver and your schedules there; exit 1 when nothing is usable.",
    )
    .action(async () => {
      const findings = await examine(session);
      const { info, ...rest } = findings;
      session.output.result(
        { ...rest, binding: info?.binding, dataDir: info?.dataDir, drivers: info?.drivers ?? [] },
        () => describe(findings, session.output),
      );
      session.exitCode = findings.ok ? EXIT.ok : EXIT.failure;
    });
  examples(command, "doctor", "doctor --json");
}

async function examine(session: Session): Promise<Findings> {
  const problems: Problem[] = [];
  const server = await examineConfiguredServer(session, problems);
  const node = { version: process.versions.node, ok: isSupported(process.versions.node) };
  if (!node.ok) {
    problems.push({
      what: "Node",
      reason: `Node ${node.version} is older than ${NODE_FLOOR.join(".")}.`,
      remedy: "Install a newer Node.",
    });
  }
  let info: SystemInfo | undefined;
  try {
    // What keeps the server from answering has been found already.
    if (server === undefined || server.user !== undefined) {
      const client = await session.client();
      info = await client.system.info({}, { signal: session.signal });
    }
  } catch (failure) {
    if (session.stopCode !== undefined) throw new SpacesError("CANCELLED");
    const error = toSpacesError(failure);
    problems.push({ what: "data", reason: error.message, remedy: error.suggestion });
  }
  for (const driver of info?.drivers ?? []) {
    if (driver.usable) continue;
    const reason = driver.reason ?? "It is not usable.";
    problems.push({ what: `driver ${driver.name}`, reason, remedy: driver.remedy ?? "" });
  }
  const schedules =
    info === undefined ? undefined : await examineSchedules(session, info, problems);
  const ok = node.ok && info?.drivers.some((driver) => driver.usable) === true;
  return { ok, version: VERSION, node, server, info, schedules, problems };
}

/** Checks the server, where one is configured; what the configuration lacks is a problem too. */
async function examineConfiguredServer(
  session: Session,
  problems: Problem[],
): Promise<ServerFindings | undefined> {
  try {
    const { examineServer } = await import("./doctor-server.js");
    return await examineServer(session, problems);
  } catch (failure) {
    if (session.stopCode !== undefined) throw new SpacesError("CANCELLED");
    const error = toSpacesError(failure);
    problems.push({ what: "configuration", reason: error.message, remedy: error.suggestion });
    return undefined;
  }
}

/** Whether this version of Node is the floor or newer. */
export function isSupported(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > NODE_FLOOR[0] || (major === NODE_FLOOR[0] && minor >= NODE_FLOOR[1]);
}

function describe(
  { version, node, server, info, schedules, problems }: Findings,
  output: Output,
): string {
  const mark = (good: boolean): string =>
    good ? output.style("stdout", "green", "ok  ") : output.style("stdout", "red", "no  ");
  const remedyOf = (what: string): string => {
    const problem = problems.find((candidate) => candidate.what === what);
    if (problem === undefined) return "";
    const lines = [problem.reason, problem.remedy].filter((text) => text !== "");
    return lines.map((text) => `      ${printable(text)}\n`).join("");
  };
  let text = `spaces ${version}\n`;
  text += `${mark(node.ok)}Node ${node.version}\n${remedyOf("Node")}`;
  if (problems.some(({ what }) => what === "configuration")) {
    text += `${mark(false)}configuration\n${remedyOf("configuration")}`;
  }
  if (server !== undefined) {
    const version = info === undefined ? "" : ` (spaces ${printable(info.version)})`;
    text += `${mark(server.reachable)}server ${printable(server.url)}${version}\n${remedyOf("server")}`;
    if (server.reachable) {
      const { user, permissions = [] } = server;
      const who = user === undefined ? "" : `: ${printable(user)} may ${permissions.join(", ")}`;
      text += `${mark(user !== undefined)}token${who}\n${remedyOf("token")}`;
      const clockGood = !problems.some(({ what }) => what === "clock");
      if (!clockGood) text += `${mark(false)}clock\n${remedyOf("clock")}`;
    }
  }
  if (info === undefined) {
    return server === undefined ? `${text}${mark(false)}data directory\n${remedyOf("data")}` : text;
  }
  if (info.dataDir !== undefined) {
    text += `${mark(true)}data directory ${printable(info.dataDir)}\n`;
  }
  for (const driver of info.drivers) {
    const version = driver.version === undefined ? "" : ` ${printable(driver.version)}`;
    const chosen = driver.isDefault ? " (default)" : "";
    text += `${mark(driver.usable)}driver ${printable(driver.name)}${version}${chosen}\n`;
    text += remedyOf(`driver ${driver.name}`);
  }
  if (schedules !== undefined && schedules.count > 0) text += describeSchedules(schedules, mark);
  return text;
}
