/** Attachments to processes of an engine in this process, for the in-process binding and the server. */
import { SpacesError } from "../contract/errors.js";
import { type CallContext, requirePermission } from "../engine/context.js";
import type { Engine } from "../engine/engine.js";
import { hideHostPathsOf } from "../engine/host-paths.js";
import type { OutputEvent } from "../engine/process-output.js";
import type { Attachment, AttachOptions, AttachTarget } from "./attachment.js";
import type { CallsUnderWay } from "./calls-under-way.js";

/** An attachment that tells where its output begins. */
export interface EngineAttachment extends Attachment {
  readonly position: { readonly stdout: number; readonly stderr: number };
}

interface Within {
  readonly engine: Engine;
  readonly calls: CallsUnderWay;
  readonly toSpacesError: (error: unknown) => SpacesError;
}

/**
 * Attaches to a process of an engine's space.
 * @throws SpacesError `PERMISSION_DENIED`, `SPACE_NOT_FOUND`, `SPACE_NOT_RUNNING`,
 *   `PROCESS_NOT_FOUND`, `UNSUPPORTED`
 */
export async function attachWithin(
  { engine, calls, toSpacesError }: Within,
  context: CallContext,
  { space, process }: AttachTarget,
  { stdoutOffset = 0, stderrOffset = 0, signal }: AttachOptions = {},
): Promise<EngineAttachment> {
  const held = calls.hold(signal);
  const reasonOf = (error: unknown): SpacesError => {
    // Why it was cancelled says more than that it was.
    const { aborted, reason } = held.signal;
    if (aborted && SpacesError.isInstance(reason)) return reason;
    return toSpacesError(context.local ? error : hideHostPathsOf(error, engine.parts.dataDir));
  };
  const told = async <R>(act: () => Promise<R>): Promise<R> => {
    try {
      return await act();
    } catch (error) {
      throw reasonOf(error);
    }
  };
  try {
    requirePermission(context.actor, "RunCommands");
    const attachment = await engine.background.attach(
      context,
      space,
      process,
      { stdout: stdoutOffset, stderr: stderrOffset },
      { signal: held.signal },
    );
    return {
      position: attachment.position,
      events: tellingWhy(attachment.events, reasonOf),
      write: (data) => told(() => attachment.write(data)),
      closeInput: () => told(() => attachment.closeInput()),
      resize: (size) => told(() => attachment.resize(size)),
      signal: (name) => told(() => attachment.signal(name)),
      async [Symbol.asyncDispose]() {
        await attachment[Symbol.asyncDispose]();
        held[Symbol.dispose]();
      },
    };
  } catch (error) {
    held[Symbol.dispose]();
    throw reasonOf(error);
  }
}

async function* tellingWhy(
  events: AsyncIterable<OutputEvent>,
  reasonOf: (error: unknown) => SpacesError,
): AsyncGenerator<OutputEvent, void> {
  try {
    yield* events;
  } catch (error) {
    throw reasonOf(error);
  }
}
