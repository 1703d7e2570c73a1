/** Finds Ctrl-P Ctrl-Q, the keys that let go of a terminal, in what is typed. */

const CTRL_P = 0x10;
const CTRL_Q = 0x11;

/** What is to be done with typed bytes. */
export interface Typed {
  readonly pass: Buffer;
  /** Whether the keys were typed; `pass` is what came before them. */
  readonly detach: boolean;
}

/** Reads what is typed, piece by piece. Ctrl-P is held back until the next key is known. */
export class DetachKeys {
  #held = false;

  read(bytes: Buffer): Typed {
    const pass: number[] = [];
    for (const byte of bytes) {
      if (this.#held && byte === CTRL_Q) return { pass: Buffer.from(pass), detach: true };
      if (this.#held) pass.push(CTRL_P);
      this.#held = byte === CTRL_P;
      if (!this.#held) pass.push(byte);
    }
    return { pass: Buffer.from(pass), detach: false };
  }
}
