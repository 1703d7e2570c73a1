/**
 * Runs the command line in a real pseudo-terminal, which a small Python program holds; for tests that
 * type, resize and look at the screen.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { CLI } from "../support/cli.js";

/**
 * Holds the terminal. Reads lines `type <hex>` and `size <rows> <columns>` on stdin; writes what the
 * program prints to stdout, and at last its exit code and the mode that it left the terminal in to
 * stderr.
 */
const HOLDER = `
import fcntl, os, pty, select, struct, sys, termios
def size(rows, columns):
    fcntl.ioctl(holder, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
def modes():
    flags = termios.tcgetattr(holder)[3]
    return "raw" if not flags & termios.ICANON and not flags & termios.ECHO else "cooked"
holder, terminal = pty.openpty()
size(30, 100)
pid = os.fork()
if pid == 0:
    os.login_tty(terminal) if hasattr(os, "login_tty") else (
        os.setsid(), fcntl.ioctl(terminal, termios.TIOCSCTTY, 0),
        [os.dup2(terminal, fd) for fd in (0, 1, 2)])
    os.close(holder)
    os.execvp(sys.argv[1], sys.argv[1:])
lines = b""
inputs = [holder, 0]
def drain(wait):
    while select.select([holder], [], [], wait)[0]:
        data = os.read(holder, 65536)
        if not data:
            return
        os.write(1, data)
code = None
while code is None:
    ready = select.select(inputs, [], [], 0.02)[0]
    if holder in ready:
        os.write(1, os.read(holder, 65536))
    if 0 in ready:
        more = os.read(0, 65536)
        if not more:
            inputs.remove(0)
        lines += more
        *whole, lines = lines.split(b"\\n")
        for line in whole:
            what, *rest = line.decode().split()
            if what == "type":
                os.write(holder, bytes.fromhex(rest[0]))
            elif what == "size":
                size(int(rest[0]), int(rest[1]))
    done, status = os.waitpid(pid, os.WNOHANG)
    if done == pid:
        code = os.waitstatus_to_exitcode(status)
drain(0.05)
os.write(2, f"end {code} {modes()}\\n".encode())
`;

interface PtyEnd {
  /** The exit code; negative when a signal ended the program. */
  readonly code: number;
  /** Everything that the screen was sent. */
  readonly screen: string;
  /** Whether the terminal was left as it had been. */
  readonly restored: boolean;
}

/** The command line in a pseudo-terminal of 100 columns and 30 rows. */
export class PtyProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Set<() => void>();
  readonly ended: Promise<PtyEnd>;
  #screen = "";
  #report = "";
  #seen = 0;
  #over = false;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv) {
    this.#child = spawn("python3", ["-c", HOLDER, process.execPath, CLI, ...args], {
      env: { ...env, TERM: "xterm" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#screen += text;
      this.#wake();
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#report += text;
      this.#wake();
    });
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", () => {
        this.#over = true;
        this.#wake();
        const [, code, modes] = /^end (-?\d+) (\w+)$/m.exec(this.#report) ?? [];
        if (code === undefined) reject(new Error(`The terminal's holder failed: ${this.#report}`));
        else resolve({ code: Number(code), screen: this.#screen, restored: modes === "cooked" });
      });
    });
    // Who awaits the end meets the failure; a test that failed before has nobody who does.
    this.ended.catch(() => undefined);
  }

  /** Types a text; `\r` is the return key. */
  type(text: string): void {
    this.#command(`type ${Buffer.from(text).toString("hex")}`);
  }

  resize(rows: number, columns: number): void {
    this.#command(`size ${rows} ${columns}`);
  }

  /** Waits until what came since the last call holds this; gives what it matched. */
  async sees(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#screen.slice(this.#seen));
      if (found !== null) {
        this.#seen += found.index + found[0].length;
        return found;
      }
      if (this.#over)
        throw new Error(`It ended without ${pattern}: ${JSON.stringify(this.#screen)}`);
      await this.#news();
    }
  }

  /** Ends everything, if it has not ended. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #command(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  #news(): Promise<void> {
    return new Promise((resolve) => this.#waiting.add(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
