/** Gives the memory of buffers back before the collector finds them. For bodies that stream through. */
import { MessageChannel, type MessagePort } from "node:worker_threads";

let nowhere: MessagePort | undefined;

/**
 * Frees the memory of a buffer that nobody reads any more and that is alone in its memory, as the
 * pieces of a request's body are. V8 lets such pieces pile up to 32 MB before it looks for garbage.
 */
export function release(piece: Uint8Array): void {
  const { buffer, byteLength } = piece;
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength !== byteLength) return;
  if (nowhere === undefined) {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    nowhere = port1;
  }
  // What is transferred leaves this side; a port whose other end is closed drops it.
  nowhere.postMessage(undefined, [buffer]);
}
