/** The terminal that the command line runs in: its size, its raw mode, and its way back. */
import { SpacesError } from "../runtime/contract/errors.js";

/** Size that a terminal counts as having when it does not say. */
const UNKNOWN_SIZE = { columns: 80, rows: 24 };

/**
 * Undoes what a program that is left behind may have switched on: the other screen, reports of the
 * mouse and of pasting, a hidden cursor, colours. Has no effect on what is off.
 */
const CALM = "\u001b[?1047l\u001b[?1000;1002;1003;1006;2004l\u001b[?25h\u001b[0m";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** What happens at a terminal in raw mode. */
export interface TerminalEvents {
  onTyped(bytes: Buffer): void;
  /** The terminal has gone. */
  onHangUp(): void;
}

/**
 * Makes sure that a terminal is there.
 * @param what the command or option that needs it, as errors name it
 * @throws SpacesError `INVALID_INPUT` when a stream is none
 */
export function requireTerminal(what: string, streams: readonly ("stdin" | "stdout")[]): void {
  const missing = streams.find((stream) => process[stream].isTTY !== true);
  if (missing === undefined) return;
  throw new SpacesError("INVALID_INPUT", `${what} needs a terminal, and ${missing} is none.`, {
    suggestion: "Run it in a terminal; to run a command without one, use `spaces exec`.",
  });
}

/** The size of the terminal, in characters. */
export function terminalSize(): Size {
  const { columns, rows } = process.stdout;
  return { columns: columns || UNKNOWN_SIZE.columns, rows: rows || UNKNOWN_SIZE.rows };
}

/** The environment that tells programs what kind of terminal this is. */
export function terminalEnv(): Record<string, string> {
  const { TERM } = process.env;
  return TERM === undefined || TERM === "" ? {} : { TERM };
}

/**
 * Puts the terminal into raw mode and tells what is typed; disposing puts it back. Where the process
 * ends without, Node itself puts it back.
 */
export function openRawTerminal(events: TerminalEvents): Disposable {
  const { stdin } = process;
  const onData = (bytes: Buffer): void => events.onTyped(bytes);
  const onGone = (): void => events.onHangUp();
  stdin.setRawMode(true);
  stdin.on("data", onData).on("end", onGone).on("error", onGone);
  process.on("SIGHUP", onGone);
  return {
    [Symbol.dispose]() {
      stdin.off("data", onData).off("end", onGone);
      process.off("SIGHUP", onGone);
      stdin.pause();
      // A terminal that has gone cannot be put back.
      if (!stdin.destroyed) stdin.setRawMode(false);
    },
  };
}

/** Tells each new size of the terminal until disposed. */
export function watchSize(onResize: (size: Size) => void): Disposable {
  const listener = (): void => onResize(terminalSize());
  process.stdout.on("resize", listener);
  return {
    [Symbol.dispose]() {
      process.stdout.off("resize", listener);
    },
  };
}

/** Brings the screen back to normal after a program that was left behind in the middle of its work. */
export function calmScreen(): void {
  process.stdout.write(CALM);
}

/**
 * Asks for a secret, which is not shown while it is typed.
 * @throws SpacesError `CANCELLED` when the input ends, Ctrl-C is typed, or the signal fires
 */
export async function askHidden(question: string, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = deferred<string>();
  const cancel = (): void => reject(new SpacesError("CANCELLED"));
  let typed = "";
  using _terminal = openRawTerminal({
    onTyped(bytes) {
      for (const character of bytes.toString("utf8")) {
        if (character === "\r" || character === "\n") return resolve(typed.trim());
        if (character === "\u0003" || character === "\u0004") return cancel();
        if (character === "\u007f" || character === "\b") typed = typed.slice(0, -1);
        else typed += character;
      }
    },
    onHangUp: cancel,
  });
  // Asked only now: what is typed before the terminal is in raw mode would be shown.
  process.stderr.write(question);
  signal.addEventListener("abort", cancel, { once: true });
  try {
    return await promise;
  } finally {
    signal.removeEventListener("abort", cancel);
    process.stderr.write("\n");
  }
}

function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<T>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  return { promise, resolve, reject };
}
