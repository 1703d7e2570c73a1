/** Output of processes as programs read it: text, decoded across the pieces that it comes in. */
import type { AttachmentEvent } from "../bindings/attachment.js";
import type { ProcessEvent } from "../contract/processes.js";

/** A piece of output. */
export interface OutputEvent {
  readonly type: "stdout" | "stderr";
  /** UTF-8 text; a character that is cut at the end of a piece comes with the next one. */
  readonly data: string;
  /** The bytes as they came. */
  readonly bytes: Uint8Array;
  /** Bytes of this output before these: `offset + bytes.length` is where to go on from. */
  readonly offset: number;
}

/** Output that is no longer kept. */
export interface LostEvent {
  readonly type: "lost";
  readonly stream: "stdout" | "stderr";
  readonly bytes: number;
}

/** How the process ended; the last event. */
export interface ExitEvent {
  readonly type: "exit";
  /** The program's code; 128 + n when signal n killed it. */
  readonly exitCode: number;
  readonly signal?: string | undefined;
}

export type ProcessOutput = OutputEvent | LostEvent | ExitEvent;

/** Decodes events of the contract or of an attachment. */
export async function* decoded(
  events: AsyncIterable<ProcessEvent | AttachmentEvent>,
): AsyncGenerator<ProcessOutput, void> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  const ends = { stdout: 0, stderr: 0 };
  for await (const event of events) {
    if (event.type === "lost") {
      yield event;
      continue;
    }
    if (event.type === "exit") {
      for (const type of ["stdout", "stderr"] as const) {
        const data = decoders[type].decode();
        if (data !== "") yield { type, data, bytes: new Uint8Array(), offset: ends[type] };
      }
      yield event;
      continue;
    }
    const { type, offset } = event;
    const bytes = typeof event.data === "string" ? Buffer.from(event.data, "base64") : event.data;
    ends[type] = offset + bytes.length;
    yield { type, data: decoders[type].decode(bytes, { stream: true }), bytes, offset };
  }
}
