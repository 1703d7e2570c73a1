/** An attachment to a process made of the contract's calls: for bindings whose calls cost little. */
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";
import { type ProcessEvent, signalSchema } from "../contract/processes.js";
import type { Attachment, AttachmentEvent, AttachOptions, AttachTarget } from "./attachment.js";

/** What one `processes.write` takes, with room for base64. */
const WRITE_BYTES = 512 * 1024;

/**
 * Attaches to a process by following it.
 * @throws SpacesError `PROCESS_NOT_FOUND`, `SPACE_NOT_RUNNING`
 */
export async function attachThrough(
  client: Client,
  target: AttachTarget,
  { stdoutOffset = 0, stderrOffset = 0, signal }: AttachOptions = {},
): Promise<Attachment> {
  const over = new AbortController();
  const either = signal === undefined ? over.signal : AbortSignal.any([over.signal, signal]);
  await client.processes.get(target, { signal: either });
  const followed = await client.processes.follow(
    { ...target, stdoutOffset, stderrOffset },
    { signal: either },
  );
  return {
    events: eventsOf(followed, over.signal),
    async write(data) {
      for (let at = 0; at < data.length; at += WRITE_BYTES) {
        const piece = Buffer.from(data.subarray(at, at + WRITE_BYTES));
        await client.processes.write({ ...target, data: piece.toString("base64") });
      }
    },
    async closeInput() {
      await client.processes.write({ ...target, close: true });
    },
    async resize(terminal) {
      await client.processes.resize({ ...target, terminal });
    },
    async signal(name) {
      await client.processes.signal({ ...target, signal: signalSchema.parse(name) });
    },
    async [Symbol.asyncDispose]() {
      over.abort();
    },
  };
}

async function* eventsOf(
  followed: AsyncIterable<ProcessEvent>,
  released: AbortSignal,
): AsyncGenerator<AttachmentEvent, void> {
  try {
    for await (const event of followed) {
      yield "data" in event ? { ...event, data: Buffer.from(event.data, "base64") } : event;
    }
  } catch (error) {
    // Who has let go has asked for this end.
    if (!(released.aborted && SpacesError.isInstance(error) && error.code === "CANCELLED")) {
      throw error;
    }
  }
}
