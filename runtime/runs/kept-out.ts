/** What is kept out of the record of a run: values that are secret, and such as may turn out to be. */
import { redactable, StreamRedactor } from "../redaction.js";
import { MOST_SECRETS } from "./limits.js";

type Stream = "stdout" | "stderr";

export class KeptOut {
  readonly #secrets: Set<string>;
  readonly #suspects = new Map<string, number>();
  readonly #redactors: Readonly<Record<Stream, StreamRedactor>>;

  /** @param secrets values that are known to be secret */
  constructor(secrets: readonly string[]) {
    this.#secrets = new Set(secrets);
    this.#redactors = {
      stdout: new StreamRedactor(this.secrets),
      stderr: new StreamRedactor(this.secrets),
    };
  }

  /** All that are known to be secret. */
  get secrets(): readonly string[] {
    return [...this.#secrets];
  }

  /** Whether there are more than are looked for: no output may be recorded any more. */
  get isTooMuch(): boolean {
    return this.#secrets.size > MOST_SECRETS;
  }

  /** Takes in further secrets. @returns those that were not known, as they are looked for */
  add(secrets: readonly string[]): readonly string[] {
    const fresh = redactable(secrets.filter((secret) => !this.#secrets.has(secret)));
    for (const secret of fresh) this.#secrets.add(secret);
    if (fresh.length > 0) this.#takeOut();
    return fresh;
  }

  /**
   * Also keeps out what may turn out to be secret when the call that carries it is done.
   * @returns what is to be called then
   */
  suspect(values: readonly string[]): () => void {
    this.#count(values, 1);
    return () => this.#count(values, -1);
  }

  /** The next piece of an output that may be recorded; perhaps empty. */
  push(stream: Stream, text: string): Buffer {
    return this.#redactors[stream].push(Buffer.from(text));
  }

  /** What was held back of an output, when nothing more comes. */
  flush(stream: Stream): Buffer {
    return this.#redactors[stream].flush();
  }

  #count(values: readonly string[], change: 1 | -1): void {
    if (values.length === 0) return;
    for (const value of values) {
      const count = (this.#suspects.get(value) ?? 0) + change;
      if (count > 0) this.#suspects.set(value, count);
      else this.#suspects.delete(value);
    }
    this.#takeOut();
  }

  #takeOut(): void {
    if (this.isTooMuch) return;
    const all = [...this.#secrets, ...this.#suspects.keys()];
    this.#redactors.stdout.takeOut(all);
    this.#redactors.stderr.takeOut(all);
  }
}
