/**
 * Looks from time to time whether the stored scripts that are tools, or the things that are resources,
 * have changed, for whatever process changed them.
 */
import type { Client } from "../contract/contract.js";
import { SpacesError } from "../contract/errors.js";

interface ChangeWatchOptions {
  readonly client: () => Client;
  readonly toolsChanged: () => Promise<void>;
  readonly resourcesChanged: () => Promise<void>;
  readonly everyMs: number;
  readonly onError: (error: unknown) => void;
}

interface Seen {
  readonly tools: string;
  readonly resources: string;
}

export class ChangeWatch implements Disposable {
  readonly #options: ChangeWatchOptions;
  #watchers = 0;
  #timer: NodeJS.Timeout | undefined;
  #seen: Seen | undefined;
  #looking: Promise<void> | undefined;

  constructor(options: ChangeWatchOptions) {
    this.#options = options;
  }

  /** Watches until the result is disposed. */
  begin(): Disposable {
    this.#watchers += 1;
    if (this.#watchers === 1) {
      this.#timer = setInterval(() => this.#look(), this.#options.everyMs).unref();
      this.#look();
    }
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        this.#watchers -= 1;
        if (this.#watchers === 0) this[Symbol.dispose]();
      },
    };
  }

  /** Looks at once, behind a call that may have changed something. */
  lookSoon(): void {
    if (this.#timer !== undefined) setImmediate(() => this.#look());
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    if (this.#timer === undefined || this.#looking !== undefined) return;
    this.#looking = this.#compare()
      .catch((error) => {
        // The next look may fare better; who has stopped watching need not know.
        if (this.#timer !== undefined) this.#options.onError(error);
      })
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async #compare(): Promise<void> {
    const now = await look(this.#options.client());
    const before = this.#seen;
    this.#seen = now;
    if (before === undefined || this.#timer === undefined) return;
    if (before.tools !== now.tools) await this.#options.toolsChanged();
    if (before.resources !== now.resources) await this.#options.resourcesChanged();
  }
}

/** What a caller may not list does not change for it. */
function whereAllowed(error: unknown): { items: never[] } {
  if (SpacesError.isInstance(error) && error.code === "PERMISSION_DENIED") return { items: [] };
  throw error;
}

async function look(client: Client): Promise<Seen> {
  const [scripts, spaces] = await Promise.all([
    client.scripts.list({}).catch(whereAllowed),
    client.spaces.list({ limit: 1000 }).catch(whereAllowed),
  ]);
  const tools = scripts.items.filter(({ tool }) => tool);
  return {
    tools: JSON.stringify(tools.map(({ name, version, global }) => [name, version, global])),
    resources: JSON.stringify([
      scripts.items.map(({ name }) => name),
      spaces.items.map(({ name }) => name),
    ]),
  };
}
