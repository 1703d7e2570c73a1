/** What programs import from `spaces-runtime/testing`: a client to test their own code against. */
import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AgentSpaces, type AgentSpacesOptions } from "./sdk/agent-spaces.js";

export interface TestClientOptions extends Pick<AgentSpacesOptions, "timeoutMs" | "onProgress"> {
  /** Where spaces live; `virtual` when absent, which works everywhere and is there at once. */
  readonly driver?: string | undefined;
}

/** A client whose spaces are gone when it is closed. */
class TestClient extends AgentSpaces {
  readonly #dataDir: string;
  #closed: Promise<void> | undefined;

  constructor(options: TestClientOptions, dataDir: string) {
    super({ driver: "virtual", ...options, binding: "local", dataDir });
    this.#dataDir = dataDir;
  }

  override close(): Promise<void> {
    this.#closed ??= this.#removeAll();
    return this.#closed;
  }

  async #removeAll(): Promise<void> {
    try {
      for await (const space of this.spaces) await space[Symbol.asyncDispose]();
    } finally {
      await super.close();
      await rm(this.#dataDir, { recursive: true, force: true });
    }
  }
}

/**
 * Makes a client on an engine of its own, in this process and in a temporary directory. Closing it
 * (`await using`) deletes all of its spaces and the directory.
 */
export function createTestClient(options: TestClientOptions = {}): AgentSpaces {
  return new TestClient(options, mkdtempSync(join(tmpdir(), "spaces-testing-")));
}
