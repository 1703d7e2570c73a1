/**
 * What the command line prints and where: data on stdout, everything else on stderr. Every command
 * prints through the one `Output` of its session.
 */

/** The part of a stream that output needs. */
export interface Sink {
  readonly isTTY?: boolean | undefined;
  write(data: string | Uint8Array, done?: () => void): unknown;
}

/** Where output goes; the streams are opened at first use, for opening one costs start-up time. */
export interface OutputTarget {
  readonly stdout: () => Sink;
  readonly stderr: () => Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface OutputFlags {
  /** One JSON value on stdout instead of text for people. */
  readonly json: boolean;
  /** No notes and no progress. */
  readonly quiet: boolean;
  /** False when colours were refused by `--no-color`. */
  readonly color: boolean;
}

/** The terminal's codes that begin and end a style. */
const STYLES = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  cyan: [36, 39],
} as const;

export type Style = keyof typeof STYLES;

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/**
 * The process's own streams.
 * @param onBroken told when a stream cannot be written any more, such as when its reader has gone
 */
export function processTarget(onBroken: (error: NodeJS.ErrnoException) => void): OutputTarget {
  const watched = new Set<NodeJS.WriteStream>();
  const watch = (stream: NodeJS.WriteStream): Sink => {
    if (!watched.has(stream)) {
      watched.add(stream);
      stream.on("error", onBroken);
    }
    return stream;
  };
  return {
    stdout: () => watch(process.stdout),
    stderr: () => watch(process.stderr),
    env: process.env,
  };
}

export class Output {
  readonly #flags: OutputFlags;
  readonly #target: OutputTarget;
  #wroteData = false;
  #progress: { message: string; frame: number; timer: NodeJS.Timeout } | undefined;

  constructor(flags: OutputFlags, target: OutputTarget) {
    this.#flags = flags;
    this.#target = target;
  }

  get isJson(): boolean {
    return this.#flags.json;
  }

  /** Writes data as it is to stdout. */
  data(text: string): void {
    this.#write("stdout", text);
  }

  /** Writes what a program in a space, or a script, said on its stderr. */
  errorData(text: string): void {
    this.#write("stderr", text);
  }

  /** Writes bytes as they are. Resolves when they have been taken, or nobody takes them any more. */
  async bytes(stream: "stdout" | "stderr", data: Uint8Array): Promise<void> {
    this.endProgress();
    this.#wroteData ||= stream === "stdout";
    await new Promise<void>((resolve) => {
      this.#target[stream]().write(data, () => resolve());
    });
  }

  /** Writes one JSON value to stdout: on one line, or indented for people at a terminal. */
  json(value: unknown): void {
    const indent = this.#target.stdout().isTTY === true ? 2 : undefined;
    this.data(`${JSON.stringify(value, undefined, indent)}\n`);
  }

  /**
   * Writes the outcome of a command: the value with `--json`, else the text for people.
   * @param text made only when it is shown
   */
  result(value: unknown, text: () => string): void {
    if (this.#flags.json) this.json(value);
    else this.data(text());
  }

  /** Tells people something that is not data. Silent with `--quiet` and `--json`. */
  note(text: string): void {
    if (!this.#flags.quiet && !this.#flags.json) this.#write("stderr", `${text}\n`);
  }

  /** Writes an error report to stderr, whatever the flags. */
  error(text: string): void {
    this.#write("stderr", text);
  }

  /** Shows one line of progress, replaced by the next; only at a terminal and outside of CI. */
  progress(message: string): void {
    if (!this.#showsProgress()) return;
    if (this.#progress === undefined) {
      const timer = setInterval(() => this.#draw(), 80);
      timer.unref();
      this.#progress = { message, frame: 0, timer };
    } else {
      this.#progress.message = message;
    }
    this.#draw();
  }

  /** Takes the line of progress away. */
  endProgress(): void {
    if (this.#progress === undefined) return;
    clearInterval(this.#progress.timer);
    this.#progress = undefined;
    this.#target.stderr().write("\r\u001b[K");
  }

  /** Waits until all that was written to stdout has been taken, or has failed. */
  async flush(): Promise<void> {
    if (!this.#wroteData) return;
    await new Promise<void>((resolve) => {
      this.#target.stdout().write("", resolve);
    });
  }

  /** Styles a text for stdout or stderr where that stream shows colours. */
  style(stream: "stdout" | "stderr", style: Style, text: string): string {
    if (!this.hasColors(stream)) return text;
    const [begin, end] = STYLES[style];
    return `\u001b[${begin}m${text}\u001b[${end}m`;
  }

  /** Whether a stream shows colours. */
  hasColors(stream: "stdout" | "stderr"): boolean {
    const { FORCE_COLOR, NO_COLOR, TERM } = this.#target.env;
    if (!this.#flags.color) return false;
    if (FORCE_COLOR !== undefined) return FORCE_COLOR !== "0" && FORCE_COLOR !== "false";
    if (NO_COLOR !== undefined && NO_COLOR !== "") return false;
    return TERM !== "dumb" && this.#target[stream]().isTTY === true;
  }

  #write(stream: "stdout" | "stderr", text: string): void {
    if (text === "") return;
    this.endProgress();
    this.#wroteData ||= stream === "stdout";
    this.#target[stream]().write(text);
  }

  #draw(): void {
    if (this.#progress === undefined) return;
    const frame = FRAMES[this.#progress.frame++ % FRAMES.length] ?? "";
    const message = this.#progress.message.replace(/[^\P{C}]/gu, " ").slice(0, 100);
    this.#target.stderr().write(`\r\u001b[K${frame} ${message}`);
  }

  #showsProgress(): boolean {
    const { CI, TERM } = this.#target.env;
    return (
      !this.#flags.quiet &&
      !this.#flags.json &&
      TERM !== "dumb" &&
      (CI === undefined || CI === "" || CI === "false") &&
      this.#target.stderr().isTTY === true
    );
  }
}
