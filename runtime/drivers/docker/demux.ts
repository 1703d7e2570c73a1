/**
 * Splits Docker's multiplexed stream into standard output and standard error. It holds no more than
 * a chunk: while a reader is slow it takes nothing more from the daemon. Used by `guest-process.ts`.
 */
import { Readable, Writable } from "node:stream";
import { SpacesError } from "../../contract/errors.js";

const HEADER_BYTES = 8;
/** How much of the output that is not delivered is kept, to read the daemon's reason from. */
const WITHHELD_BYTES = 8192;
const STDERR = 2;

/** One of the two outputs. `deliver` waits for the reader; a reader that went away is no obstacle. */
class Outlet extends Readable {
  #resume: (() => void) | undefined;

  deliver(payload: Buffer): Promise<void> | undefined {
    if (this.destroyed || this.push(payload)) return undefined;
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  override _read(): void {
    this.#release();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#release();
    callback(error);
  }

  #release(): void {
    this.#resume?.();
    this.#resume = undefined;
  }
}

/**
 * Write the daemon's stream into it; read `stdout` and `stderr`.
 * Fails with `DRIVER_FAILED` on bytes that are no frame.
 */
export class Demuxer extends Writable {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Payload bytes seen so far, on both streams. */
  received = 0;
  readonly #outlets: { readonly out: Outlet; readonly err: Outlet };
  readonly #admit: () => Promise<boolean>;
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerFilled = 0;
  #remaining = 0;
  #target: Outlet;
  #admitted: boolean | undefined;
  #withheld = Buffer.alloc(0);
  #blocked: Promise<void> | undefined;

  /**
   * @param admit asked once, before the first byte is delivered: does this output come from the
   *   program? When it does not, everything is withheld.
   */
  constructor(admit: () => Promise<boolean>) {
    super({ highWaterMark: 256 * 1024 });
    this.#admit = admit;
    this.#outlets = { out: new Outlet(), err: new Outlet() };
    this.#target = this.#outlets.out;
    this.stdout = this.#outlets.out;
    this.stderr = this.#outlets.err;
  }

  /** Set while the next bytes cannot be delivered yet; resolves when they can. */
  get blocked(): Promise<void> | undefined {
    return this.#blocked;
  }

  /** The beginning of what was not delivered. */
  get withheld(): string {
    return this.#withheld.toString("utf8").trim();
  }

  /** Ends both outputs, whatever the daemon may still send. */
  close(): void {
    for (const outlet of [this.#outlets.out, this.#outlets.err]) {
      if (!outlet.readableEnded && !outlet.destroyed) outlet.push(null);
    }
    this.destroy();
  }

  override _write(chunk: Buffer, _encoding: string, callback: (error?: Error | null) => void) {
    this.#consume(chunk).then(() => callback(), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#outlets.out.push(null);
    this.#outlets.err.push(null);
    callback();
  }

  async #consume(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.length > 0 && !this.destroyed) {
      if (this.#remaining === 0) {
        rest = this.#readHeader(rest);
        continue;
      }
      const payload = rest.subarray(0, this.#remaining);
      rest = rest.subarray(payload.length);
      this.#remaining -= payload.length;
      this.received += payload.length;
      await this.#pass(payload);
    }
  }

  async #pass(payload: Buffer): Promise<void> {
    if (this.#admitted === undefined) {
      const admission = this.#admit();
      this.#blocked = admission.then(() => undefined);
      this.#admitted = await admission;
      this.#blocked = undefined;
    }
    if (!this.#admitted) {
      const room = WITHHELD_BYTES - this.#withheld.length;
      if (room > 0) this.#withheld = Buffer.concat([this.#withheld, payload.subarray(0, room)]);
      return;
    }
    if (this.destroyed) return;
    this.#blocked = this.#target.deliver(payload);
    if (this.#blocked === undefined) return;
    await this.#blocked;
    this.#blocked = undefined;
  }

  /** Takes header bytes, which may come one by one. The length is only counted down, never allocated. */
  #readHeader(bytes: Buffer): Buffer {
    const taken = bytes.copy(
      this.#header,
      this.#headerFilled,
      0,
      HEADER_BYTES - this.#headerFilled,
    );
    this.#headerFilled += taken;
    if (this.#headerFilled === HEADER_BYTES) {
      const kind = this.#header[0] ?? 0;
      if (kind > STDERR || this.#header.readUIntBE(1, 3) !== 0) {
        throw new SpacesError(
          "DRIVER_FAILED",
          `Docker's output stream is damaged: ${this.#header.toString("hex")} is no frame header.`,
        );
      }
      this.#target = kind === STDERR ? this.#outlets.err : this.#outlets.out;
      this.#remaining = this.#header.readUInt32BE(4);
      this.#headerFilled = 0;
    }
    return bytes.subarray(taken);
  }
}
