/** Processes that a command line starts for itself; it cleans up after them. For `shell` and `exec`. */
import type { Binding } from "../runtime/bindings/binding.js";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { type AttachmentEnd, type AttachmentOptions, attach } from "./attachment.js";
import { shortId, type Target } from "./process-ids.js";
import type { Session } from "./session.js";
import { calmScreen } from "./terminal.js";

/** A process to attach to. */
export interface Attached extends Target {
  /** The space, as people call it. */
  readonly name: string;
}

/**
 * Attaches to a process that this command line has started: it is killed when the attachment breaks
 * off, and forgotten when it has ended.
 * @returns its exit code; `COMMAND_TIMEOUT` is thrown after a timeout, `CANCELLED` after a signal
 */
export async function runAttached(
  session: Session,
  binding: Binding,
  { name, ...target }: Attached,
  options: AttachmentOptions,
): Promise<number> {
  let end: AttachmentEnd | undefined;
  try {
    end = await attach(session, binding, target, options);
  } finally {
    if (end?.kind !== "detached") await discard(binding.client, target, end?.kind === "exit");
  }
  if (end.kind === "stopped") {
    if (options.input === "keys") calmScreen();
    throw new SpacesError("CANCELLED");
  }
  return codeOf(session, { name, ...target }, end);
}

/**
 * The exit code that the end of an attachment means; says how to attach again to what goes on.
 * @throws SpacesError `COMMAND_TIMEOUT`, `CANCELLED`
 */
export function codeOf(session: Session, attached: Attached, end: AttachmentEnd): number {
  if (end.kind === "exit") {
    if (end.timedOut) throw new SpacesError("COMMAND_TIMEOUT");
    return end.exitCode;
  }
  if (end.kind === "detached") calmScreen();
  const again = `spaces attach ${attached.name} ${shortId(attached.process)}`;
  session.output.note(`\nIt goes on running. To attach to it again: ${again}`);
  if (end.kind === "stopped") throw new SpacesError("CANCELLED");
  return 0;
}

const GONE: ReadonlySet<string> = new Set([
  "PROCESS_NOT_FOUND",
  "SPACE_NOT_RUNNING",
  "SPACE_NOT_FOUND",
]);

/** Kills a process that has not ended, and has the space forget it. */
async function discard(client: Client, target: Target, ended: boolean): Promise<void> {
  try {
    if (!ended) await client.processes.kill(target);
    await client.processes.remove(target);
  } catch (error) {
    // Someone else was faster, or the space has stopped: it is gone as well.
    if (!SpacesError.isInstance(error) || !GONE.has(error.code)) throw error;
  }
}
