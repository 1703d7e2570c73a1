/**
 * One run of the command line: its output, its binding (opened at first use), its cancellation by
 * signals, and the exit code it ends with. `program.ts` makes it; every command is given it.
 */
import type { Binding, BindingOptions } from "../runtime/bindings/binding.js";
import type { Client } from "../runtime/contract/contract.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { EXIT } from "./exit-codes.js";
import { Output, processTarget } from "./output.js";

/** The options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
  readonly color?: boolean | undefined;
  readonly binding?: BindingOptions["binding"];
  /** URL of a server. */
  readonly url?: string | undefined;
  /** Profile of the user's configuration. */
  readonly profile?: string | undefined;
}

export class Session {
  /** The code that the process ends with when nothing failed or stopped it. */
  exitCode: number = EXIT.ok;
  readonly #abort = new AbortController();
  readonly #target = processTarget((error) => this.#onBrokenOutput(error));
  #globals: GlobalOptions = {};
  #binding: Promise<Binding> | undefined;
  #stopCode: number | undefined;
  #listens = false;

  output: Output = new Output({ json: false, quiet: false, color: true }, this.#target);

  /** Takes over the options that every command takes. */
  configure(globals: GlobalOptions): void {
    this.#globals = globals;
    const flags = {
      json: globals.json === true,
      quiet: globals.quiet === true,
      color: globals.color !== false,
    };
    this.output = new Output(flags, this.#target);
  }

  /** The exit code of the signal or closed pipe that stopped the session, once one did. */
  get stopCode(): number | undefined {
    return this.#stopCode;
  }

  /**
   * Aborted by the first SIGINT or SIGTERM, and when nobody reads stdout any more. A second signal
   * ends the process at once.
   */
  get signal(): AbortSignal {
    if (!this.#listens) {
      this.#listens = true;
      process.on("SIGINT", () => this.#onSignal(EXIT.interrupted));
      process.on("SIGTERM", () => this.#onSignal(EXIT.terminated));
    }
    return this.#abort.signal;
  }

  /**
   * The client of the binding, opened at the first call.
   * @param driver the driver for new spaces whose template names none
   */
  async client(driver?: string): Promise<Client> {
    return (await this.binding(driver)).client;
  }

  /**
   * The binding itself, for what its client alone cannot do; opened as `client` opens it.
   * @param limits what its calls may do, and are recorded as
   */
  async binding(
    driver?: string,
    limits: Pick<BindingOptions, "grant" | "via"> = {},
  ): Promise<Binding> {
    this.#binding ??= this.#open(driver, limits);
    const binding = await this.#binding;
    this.#throwIfStopped();
    return binding;
  }

  /** The options that every command takes, as they were given. */
  get globals(): GlobalOptions {
    return this.#globals;
  }

  /**
   * Writes what is left and closes what was opened. What a binding failed with that never opened has
   * been reported by `client`.
   */
  async close(): Promise<void> {
    this.output.endProgress();
    await this.output.flush();
    const opened = await this.#binding?.then(
      (binding) => binding,
      () => undefined,
    );
    await opened?.[Symbol.asyncDispose]();
  }

  async #open(
    driver: string | undefined,
    limits: Pick<BindingOptions, "grant" | "via">,
  ): Promise<Binding> {
    const { openBinding } = await import("../runtime/bindings/select.js");
    return openBinding({
      binding: this.#globals.binding,
      url: this.#globals.url,
      profile: this.#globals.profile,
      driver,
      ...limits,
      onProgress: (message) => this.output.progress(message),
    });
  }

  /** A reader that has gone, as in `spaces list | head -1`, ends the command quietly. */
  #onBrokenOutput(error: NodeJS.ErrnoException): void {
    if (error.code === "EPIPE" || error.code === "ECONNRESET") {
      this.stop(EXIT.outputClosed);
    } else if (this.#stopCode === undefined) {
      this.stop(EXIT.ours);
      this.output.error(`error: The output cannot be written: ${error.message}.\n`);
    }
  }

  #onSignal(code: number): void {
    if (this.#stopCode !== undefined) process.exit(code);
    this.stop(code);
  }

  /** Ends the session early, as a signal does: the process ends with this code. */
  stop(code: number): void {
    if (this.#stopCode !== undefined) return;
    this.#stopCode = code;
    this.#abort.abort();
  }

  /** Makes the end that a signal asked for a success, for what runs until one comes. */
  endWell(): void {
    this.#stopCode = EXIT.ok;
  }

  #throwIfStopped(): void {
    if (this.#stopCode !== undefined) throw new SpacesError("CANCELLED");
  }
}
