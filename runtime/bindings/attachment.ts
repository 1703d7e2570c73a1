/**
 * What it is to be attached to a process: its output as it comes, its input, its terminal. Bindings
 * give it, each by its fastest means; the command line and the SDK use it for terminals.
 */
import type { TerminalSize } from "../drivers/driver.js";

/** A process of a space. */
export interface AttachTarget {
  /** Id or name of the space. */
  readonly space: string;
  readonly process: string;
}

export interface AttachOptions {
  /** Bytes of each output that the caller has already; 0 when absent. */
  readonly stdoutOffset?: number | undefined;
  readonly stderrOffset?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type AttachmentEvent =
  | { readonly type: "stdout" | "stderr"; readonly data: Uint8Array; readonly offset: number }
  /** Output that was asked for and is no longer kept. */
  | { readonly type: "lost"; readonly stream: "stdout" | "stderr"; readonly bytes: number }
  | { readonly type: "exit"; readonly exitCode: number; readonly signal?: string | undefined };

/** Disposing lets go of the process and leaves it running. */
export interface Attachment extends AsyncDisposable {
  /** Ends after `exit`; throws the `SpacesError` that broke the attachment. To be read once. */
  readonly events: AsyncIterable<AttachmentEvent>;
  /** Resolves when more can be written. */
  write(data: Uint8Array): Promise<void>;
  /** Ends standard input. */
  closeInput(): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  /** Sends a signal such as `SIGINT` to the process group. */
  signal(name: string): Promise<void>;
}
