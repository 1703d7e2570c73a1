/** Cancellations that overtake their requests. */
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/sdk/types.js";
import { beforeEach, describe, expect, it } from "vitest";
import { keepEarlyCancels } from "./early-cancels.js";

const request = (id: RequestId): JSONRPCMessage => ({ jsonrpc: "2.0", id, method: "ping" });
const cancel = (requestId: unknown): JSONRPCMessage => ({
  jsonrpc: "2.0",
  method: "notifications/cancelled",
  params: { requestId },
});

let received: JSONRPCMessage[];
let send: (message: JSONRPCMessage) => Promise<void>;
beforeEach(async () => {
  received = [];
  const [near, far] = InMemoryTransport.createLinkedPair();
  near.onmessage = (message) => received.push(message);
  keepEarlyCancels(near);
  await near.start();
  send = (message) => far.send(message);
});

describe("a cancellation", () => {
  it("is received once more behind the request that it was ahead of", async () => {
    for (const message of [cancel(7), request(8), request(7)]) await send(message);
    expect(received).toEqual([cancel(7), request(8), request(7), cancel(7)]);
  });

  it("is received once where the request was there", async () => {
    for (const message of [request(7), cancel(7)]) await send(message);
    expect(received).toEqual([request(7), cancel(7)]);
  });

  it("of no request, or without an id, is kept in bounds", async () => {
    for (let id = 0; id < 1_000; id++) await send(cancel(id));
    await send(cancel({}));
    received = [];
    for (const id of [0, 999, "999"]) await send(request(id));
    expect(received).toEqual([request(0), request(999), cancel(999), request("999")]);
  });
});
