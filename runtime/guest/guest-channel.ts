/**
 * A TCP connection on a space's loopback, carried by a session. Made by `GuestSession.connect` and
 * `listen`; the session feeds it the guest's frames.
 */
import { Duplex } from "node:stream";
import { CreditedWriter, ReadCredit } from "./flow.js";
import { protocolError } from "./frames.js";

/** What a channel needs of its session. */
export interface ChannelCommands {
  grant(id: number, bytes: number): void;
  data(id: number, bytes: Buffer): void;
  eof(id: number): void;
  reset(id: number): void;
  /** Nothing more will come or go. */
  forget(id: number): void;
}

/** A connection; `end()` closes its writing half only, `destroy()` resets it. */
export class GuestChannel extends Duplex {
  readonly id: number;
  readonly #commands: ChannelCommands;
  readonly #credit = new ReadCredit();
  readonly #writer: CreditedWriter;
  #guestEnded = false;
  #hostEnded = false;
  #lost = false;

  constructor(id: number, commands: ChannelCommands) {
    super({ allowHalfOpen: true, readableHighWaterMark: 256 * 1024 });
    this.id = id;
    this.#commands = commands;
    this.#writer = new CreditedWriter((bytes) => commands.data(id, bytes));
    // An error that nobody listens to must not end the host.
    this.on("error", () => undefined);
  }

  onData(bytes: Buffer): void {
    if (this.#guestEnded) throw protocolError("data after the end of a connection");
    this.#credit.take(bytes.length);
    this.push(bytes);
    this.#top();
  }

  onEof(): void {
    if (this.#guestEnded) throw protocolError("a second end of a connection");
    this.#guestEnded = true;
    this.push(null);
    this.#forgetWhenOver();
  }

  onCredit(bytes: number): void {
    this.#writer.grant(bytes);
  }

  /** Ends the channel without telling the guest, which knows. */
  onLost(error: Error): void {
    this.#lost = true;
    this.destroy(error);
  }

  // Grants follow what is consumed; see the outputs of processes.
  override read(size?: number): Buffer | null {
    const chunk: Buffer | null = super.read(size);
    this.#top();
    return chunk;
  }

  override _read(): void {
    this.#top();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void) {
    this.#writer.write(chunk, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#hostEnded = true;
    this.#commands.eof(this.id);
    this.#forgetWhenOver();
    callback();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#writer.discard();
    if (!this.#lost && !(this.#guestEnded && this.#hostEnded)) this.#commands.reset(this.id);
    this.#commands.forget(this.id);
    callback(error);
  }

  #forgetWhenOver(): void {
    if (this.#guestEnded && this.#hostEnded) this.#commands.forget(this.id);
  }

  #top(): void {
    if (this.#guestEnded || this.destroyed) return;
    const bytes = this.#credit.grant(this.readableLength);
    if (bytes > 0) this.#commands.grant(this.id, bytes);
  }
}
