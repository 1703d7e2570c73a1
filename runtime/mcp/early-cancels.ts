/**
 * Keeps cancellations that come before the request that they mean, as they may over HTTP, where each
 * message takes a way of its own. The MCP server puts it in front of what a transport receives.
 */
import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import {
  CancelledNotificationSchema,
  isJSONRPCRequest,
  type JSONRPCMessage,
  type RequestId,
} from "@modelcontextprotocol/sdk/types.js";

/** Cancellations that are kept; one that comes too late is kept too, until others take its place. */
const MOST_KEPT = 256;

/** @param transport one whose messages have a receiver already */
export function keepEarlyCancels(transport: Transport): void {
  const receive = transport.onmessage;
  const early = new Map<RequestId, JSONRPCMessage>();
  transport.onmessage = (message, extra) => {
    receive?.(message, extra);
    if (isJSONRPCRequest(message)) {
      const cancel = early.get(message.id);
      early.delete(message.id);
      if (cancel !== undefined) receive?.(cancel, extra);
      return;
    }
    const meant = CancelledNotificationSchema.safeParse(message).data?.params.requestId;
    if (meant === undefined) return;
    early.set(meant, message);
    const [oldest] = early.keys();
    if (early.size > MOST_KEPT && oldest !== undefined) early.delete(oldest);
  };
}
