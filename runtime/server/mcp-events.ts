/**
 * The last messages of an MCP session, so that a client whose connection broke is sent what it missed.
 * Bounded: a client that never reads must not cost memory.
 */
import type { EventStore } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";

/** Messages, and characters of their JSON; the last message is kept however long it is. */
const MOST_EVENTS = 500;
const MOST_CHARACTERS = 1_048_576;

interface Kept {
  readonly stream: string;
  readonly message: JSONRPCMessage;
  readonly length: number;
}

export class McpEvents implements EventStore {
  /** In the order in which they came. */
  readonly #kept = new Map<string, Kept>();
  #length = 0;
  #count = 0;

  async storeEvent(stream: string, message: JSONRPCMessage): Promise<string> {
    const id = String(++this.#count);
    const { length } = JSON.stringify(message);
    this.#kept.set(id, { stream, message, length });
    this.#length += length;
    for (const [oldest, { length }] of this.#kept) {
      if (this.#kept.size <= MOST_EVENTS && this.#length <= MOST_CHARACTERS) break;
      if (oldest === id) break;
      this.#kept.delete(oldest);
      this.#length -= length;
    }
    return id;
  }

  async getStreamIdForEventId(id: string): Promise<string | undefined> {
    return this.#kept.get(id)?.stream;
  }

  async replayEventsAfter(
    id: string,
    { send }: { send: (id: string, message: JSONRPCMessage) => Promise<void> },
  ): Promise<string> {
    const last = this.#kept.get(id);
    if (last === undefined) throw new Error("The event is not kept any more.");
    const missed = [...this.#kept].filter(
      ([other, { stream }]) => stream === last.stream && Number(other) > Number(id),
    );
    for (const [other, { message }] of missed) {
      // What began a stream says nothing.
      if (Object.keys(message).length > 0) await send(other, message);
    }
    return last.stream;
  }
}
