/**
 * The worker thread of one virtual space: runs its commands in just-bash over the workspace
 * directory. Started by `SpaceWorker`; built to `dist/virtual-worker.js`.
 */
import { parentPort } from "node:worker_threads";
import type { IFileSystem } from "just-bash";
import { type SerializedError, SpacesError } from "../../contract/errors.js";
import { canAnchor } from "../../workspace/directory.js";
import { AnchoredFiles } from "./anchored-files.js";
import { withHexBytes } from "./byte-printf.js";
import { encodeBytes, installByteText, silenceGuessingDecoders, wellFormed } from "./byte-text.js";
import { GuestFiles, SpaceFiles } from "./guest-files.js";
import { KillSwitch } from "./kill-switch.js";
import {
  EXECUTION_LIMITS,
  MAX_FILE_BYTES,
  MAX_MEMORY_FILES_BYTES,
  MAX_OUTPUT_BYTES,
} from "./limits.js";
import { findProgram, refuseOtherShells } from "./programs.js";
import {
  type EndMessage,
  isHostMessage,
  type OpenMessage,
  type RunMessage,
  type WorkerMessage,
} from "./protocol.js";
import { quoteWord } from "./quoting.js";

if (parentPort === null) throw new Error("This file runs as a worker thread only.");
const port = parentPort;

installByteText();
const {
  Bash,
  DefenseInDepthBox,
  defineCommand,
  InMemoryFs,
  MountableFs,
  ReadWriteFs,
  unsafeBytesFromLatin1,
} = await import("just-bash");
await silenceGuessingDecoders(() => new Bash().exec("echo é; echo é >&2"));

const printf = defineCommand("printf", (args, { origCommand }) => {
  if (origCommand === undefined) throw new Error("just-bash has no printf.");
  return origCommand(withHexBytes(args));
});

/** How just-bash says that one of its limits ended the command; always with exit code 126. */
const LIMIT_MESSAGE = /(?:^|\n)(bash: .*(?:exceeded|too many).*)\n?$/;

function send(message: WorkerMessage): void {
  port.postMessage(message);
}

const running = new Map<number, KillSwitch>();
let space: SpaceFiles | undefined;

const base = new InMemoryFs({}, { maxTotalBytes: MAX_MEMORY_FILES_BYTES });
// Lays out /bin, /usr, /tmp, /home, /dev and /proc, and loads what every command needs.
await new Bash({ fs: base, cwd: "/home/user" }).exec("bash -c true");

function open(message: OpenMessage): SpaceFiles {
  const files = new MountableFs({ base });
  const { workspace, mount } = message;
  files.mount(
    mount,
    canAnchor
      ? new AnchoredFiles(workspace, mount, MAX_FILE_BYTES)
      : new ReadWriteFs({ root: workspace, maxFileReadSize: MAX_FILE_BYTES }),
  );
  return new SpaceFiles(files, {
    trusted: (work) => DefenseInDepthBox.runTrustedAsync(work),
    bytesFromLatin1: unsafeBytesFromLatin1,
  });
}

async function checkWorkdir(files: IFileSystem, workdir: string): Promise<void> {
  let isDirectory: boolean;
  try {
    isDirectory = (await files.stat(workdir)).isDirectory;
  } catch (error) {
    throw new SpacesError("INVALID_INPUT", `The working directory ${workdir} does not exist.`, {
      cause: error,
    });
  }
  if (isDirectory) return;
  throw new SpacesError("INVALID_INPUT", `The working directory ${workdir} is not a directory.`);
}

/** The error without details: those of a worker are not believed. */
function crossing(error: SpacesError): SerializedError {
  const { code, message, suggestion } = error;
  return { code, message, suggestion };
}

type Outcome = Omit<EndMessage, "type" | "id" | "killed">;

async function execute(
  files: IFileSystem,
  message: RunMessage,
  killSwitch: KillSwitch,
): Promise<Outcome> {
  const [program, ...args] = message.argv.map(wellFormed);
  if (program === undefined) throw new SpacesError("INVALID_INPUT", "There is no program to run.");
  const env = Object.fromEntries(
    message.env.map(([name, value]) => [wellFormed(name), wellFormed(value)]),
  );
  await checkWorkdir(files, message.workdir);
  refuseOtherShells(program);
  const found = await findProgram(files, program, env.PATH ?? "", message.workdir);
  const bash = new Bash({
    fs: files,
    cwd: message.workdir,
    env,
    executionLimits: EXECUTION_LIMITS,
    customCommands: [printf],
  });
  // `args` reach the program as they are: only its name passes through the parser.
  const result = await bash.exec(quoteWord(found), {
    args,
    rawScript: true,
    signal: killSwitch.signal,
    stdin: Buffer.from(message.input).toString("latin1"),
    stdinKind: "bytes",
  });
  const stdout = encodeBytes(result.stdout);
  const stderr = encodeBytes(result.stderr);
  const limit = result.exitCode === 126 ? LIMIT_MESSAGE.exec(result.stderr)?.[1] : undefined;
  const error =
    killSwitch.cause === "memory"
      ? exceeded("The command used up the memory of its space.")
      : limit !== undefined
        ? exceeded(`A limit ended the command: ${limit}`)
        : stdout.length + stderr.length > MAX_OUTPUT_BYTES
          ? exceeded(`The command's output is longer than ${MAX_OUTPUT_BYTES} bytes.`)
          : undefined;
  const keptErrors = stderr.slice(0, MAX_OUTPUT_BYTES);
  return {
    exitCode: result.exitCode & 0xff,
    stdout: stdout.slice(0, MAX_OUTPUT_BYTES - keptErrors.length),
    stderr: keptErrors,
    ...(error === undefined ? {} : { error: crossing(error) }),
  };
}

function exceeded(message: string): SpacesError {
  return new SpacesError("LIMIT_EXCEEDED", message, {
    suggestion: "Produce or hold less data at once, or write it to files of the workspace.",
  });
}

async function run(message: RunMessage): Promise<void> {
  const killSwitch = new KillSwitch(message.killFlag);
  running.set(message.id, killSwitch);
  let outcome: Outcome;
  const files = space === undefined ? undefined : new GuestFiles(space);
  try {
    if (files === undefined) throw new SpacesError("INTERNAL", "The worker has no space yet.");
    outcome = await execute(files, message, killSwitch);
  } catch (error) {
    const known = SpacesError.isInstance(error)
      ? error
      : new SpacesError(
          "DRIVER_FAILED",
          `just-bash failed: ${error instanceof Error ? error.message : String(error)}`,
        );
    outcome = {
      exitCode: 1,
      stdout: new Uint8Array(),
      stderr: new Uint8Array(),
      error: crossing(known),
    };
  }
  // Nothing of the command may touch a file after its end has been told.
  await files?.close();
  running.delete(message.id);
  send({ type: "end", id: message.id, killed: killSwitch.cause === "kill", ...outcome });
}

port.on("message", (message: unknown) => {
  if (!isHostMessage(message)) throw new Error("The driver sent a message that is not one.");
  switch (message.type) {
    case "open":
      space ??= open(message);
      break;
    case "run":
      void run(message);
      break;
    case "kill":
      running.get(message.id)?.kill();
      break;
  }
});
send({ type: "ready" });
