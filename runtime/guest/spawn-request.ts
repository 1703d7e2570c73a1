/**
 * What can be asked of the agent about processes, and how its refusals read. Used by the session.
 */
import { SpacesError } from "../contract/errors.js";
import { type FrameReader, FrameWriter, protocolError } from "./frames.js";
import {
  ExitKind,
  errnoName,
  Fault,
  LIMITS,
  PROCESS_ID_BYTES,
  Request,
  SpawnFlag,
  signalName,
} from "./protocol.js";

export interface GuestSpawnRequest {
  /** Program and arguments; a program without a slash is searched in the PATH of `env`. */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment: nothing is inherited from the agent. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute directory inside of the space. */
  readonly workdir: string;
  /** User and group ids to run as; those of the agent when absent. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** `empty` (the default): reads the end at once. `pipe`: what is written to `stdin`. */
  readonly stdin?: "empty" | "pipe" | undefined;
  /** Runs it in a terminal of this size; its output all comes on stdout. */
  readonly terminal?: { readonly columns: number; readonly rows: number } | undefined;
  /** Lives on when this session ends; otherwise its whole tree is killed then. */
  readonly detached?: boolean | undefined;
  /** Sends none of its output: the agent keeps all of it, and the process waits, until `detach`. */
  readonly held?: boolean | undefined;
  /** 32 hexadecimal digits that no other process of the space has; made up when absent. */
  readonly id?: string | undefined;
}

export interface GuestProcessInfo {
  readonly id: string;
  readonly pid: number;
  /** The first arguments; long ones are cut. */
  readonly argv: readonly string[];
  readonly state: "running" | "exited";
  /** Whether processes that it started still run after it. */
  readonly background: boolean;
  readonly detached: boolean;
  readonly terminal: boolean;
  readonly stdinOpen: boolean;
  readonly exitCode?: number;
  readonly signal?: string;
  readonly startedAt: Date;
  readonly exitedAt?: Date;
  /** Which bytes of its output are still kept: from `start` up to `end`. */
  readonly stdout: { readonly start: number; readonly end: number };
  readonly stderr: { readonly start: number; readonly end: number };
}

/** The bytes of a process id. Throws `INVALID_INPUT` for anything but 32 hexadecimal digits. */
export function processIdBytes(id: string): Buffer {
  if (!/^[0-9a-f]{32}$/.test(id)) {
    throw new SpacesError("INVALID_INPUT", `"${id}" is no process id: 32 hexadecimal digits.`);
  }
  return Buffer.from(id, "hex");
}

/**
 * Builds a SPAWN frame with 0 for its request number. Throws `INVALID_INPUT` for strings with NUL and for too long requests.
 */
export function encodeSpawn(id: string, spawn: GuestSpawnRequest): FrameWriter {
  const env = Object.entries(spawn.env).map(([name, value]) => `${name}=${value}`);
  const nul = [...spawn.argv, ...env, spawn.workdir].find((text) => text.includes("\0"));
  if (nul !== undefined) {
    throw new SpacesError("INVALID_INPUT", `${JSON.stringify(nul)} contains a NUL character.`);
  }
  const window = spawn.held === true ? 0 : LIMITS.windowBytes;
  const frame = new FrameWriter(Request.spawn)
    .u32(0)
    .bytes(processIdBytes(id))
    .u16(spawnFlags(spawn))
    .u16(spawn.terminal?.columns ?? 0)
    .u16(spawn.terminal?.rows ?? 0)
    .u32(spawn.user?.uid ?? 0)
    .u32(spawn.user?.gid ?? 0)
    .u32(window)
    .u32(window)
    .text(spawn.workdir)
    .u32(spawn.argv.length);
  for (const argument of spawn.argv) frame.text(argument);
  frame.u32(env.length);
  for (const variable of env) frame.text(variable);
  if (frame.length > LIMITS.spawnBytes) {
    throw new SpacesError(
      "INVALID_INPUT",
      `The arguments and environment of "${spawn.argv[0]}" are ${frame.length} bytes; at most ${LIMITS.spawnBytes} can be passed.`,
      { suggestion: "Pass long text by standard input or in a file." },
    );
  }
  return frame;
}

function spawnFlags(spawn: GuestSpawnRequest): number {
  return (
    (spawn.detached === true ? SpawnFlag.detached : 0) |
    (spawn.stdin === "pipe" || spawn.terminal !== undefined ? SpawnFlag.stdin : 0) |
    (spawn.terminal === undefined ? 0 : SpawnFlag.pty) |
    (spawn.user === undefined ? 0 : SpawnFlag.user)
  );
}

const WORKDIR_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "does not exist in the space",
  ENOTDIR: "is not a directory",
  EACCES: "may not be entered by this user",
};

const PROGRAM_REASONS: Readonly<Record<string, string>> = {
  ENOENT: "was not found in the space",
  ENOTDIR: "was not found in the space",
  EACCES: "is not executable",
  EISDIR: "is a directory",
  ENOEXEC: "is neither a binary for this machine nor a script that begins with #!",
};

/** The error of a program that could not be started; `fault` and `errno` are the guest's words. */
export function spawnError(spawn: GuestSpawnRequest, fault: number, errno: number): SpacesError {
  const reason = errnoName(errno);
  const [program] = spawn.argv;
  const fail = (code: "COMMAND_NOT_FOUND" | "INVALID_INPUT" | "LIMIT_EXCEEDED", message: string) =>
    new SpacesError(code, message, { details: { errno: reason } });
  switch (fault) {
    case Fault.cwd:
      return fail(
        "INVALID_INPUT",
        `The directory "${spawn.workdir}" ${WORKDIR_REASONS[reason] ?? `cannot be used: ${reason}`}.`,
      );
    case Fault.interpreter:
      return fail(
        "COMMAND_NOT_FOUND",
        `The program "${program}" is there, but the interpreter or loader that it names is not.`,
      );
    case Fault.user:
      return fail(
        "INVALID_INPUT",
        `Cannot become user ${spawn.user?.uid}:${spawn.user?.gid} in the space: ${reason}.`,
      );
    case Fault.program:
      if (reason === "E2BIG") {
        return fail("INVALID_INPUT", `The arguments or environment of "${program}" are too long.`);
      }
      return fail(
        "COMMAND_NOT_FOUND",
        `The program "${program}" ${PROGRAM_REASONS[reason] ?? `cannot be run: ${reason}`}.`,
      );
    default:
      if (reason === "EAGAIN" || reason === "EMFILE" || reason === "ENOMEM") {
        return fail(
          "LIMIT_EXCEEDED",
          `The space is at a limit, "${program}" cannot start: ${reason}.`,
        );
      }
      return new SpacesError("DRIVER_FAILED", `The agent cannot start "${program}": ${reason}.`, {
        details: { errno: reason },
      });
  }
}

/** Reads one entry of the guest's list, behind its request number. */
export function decodeProcessInfo(fields: FrameReader): GuestProcessInfo {
  const id = fields.bytes(PROCESS_ID_BYTES).toString("hex");
  const pid = fields.u32();
  const flags = fields.u8();
  const kind = fields.u8();
  const value = fields.u32();
  const startedAt = new Date(fields.u64());
  const exitedAt = new Date(fields.u64());
  const stdout = { start: fields.u64(), end: fields.u64() };
  const stderr = { start: fields.u64(), end: fields.u64() };
  const argv: string[] = [];
  for (let left = fields.u16(); left > 0; left -= 1) {
    argv.push(fields.bytes(fields.u16()).toString("utf8"));
  }
  if (value > 255) throw protocolError(`the exit status ${value}`);
  const running = (flags & 1) !== 0;
  return {
    id,
    pid,
    argv,
    state: running ? "running" : "exited",
    background: (flags & 2) !== 0,
    detached: (flags & 4) !== 0,
    terminal: (flags & 8) !== 0,
    stdinOpen: (flags & 16) !== 0,
    ...(kind === ExitKind.code ? { exitCode: value } : {}),
    ...(kind === ExitKind.signal ? { exitCode: 128 + value, signal: signalName(value) } : {}),
    startedAt,
    ...(running ? {} : { exitedAt }),
    stdout,
    stderr,
  };
}
