/** The globals `crypto` (random values only) and `performance` (the clock only). */
import { bytesOf, fromBinary } from "../binary.js";
import type { GroupHost } from "../globals.js";
import type { DOMExceptionClass } from "./exception.js";

const MAX_BYTES = 65_536;

export default function makeCrypto({ native, use }: GroupHost) {
  const refuse = (message: string, name: string): never => {
    const { DOMException } = use("exception") as { DOMException: DOMExceptionClass };
    throw new DOMException(message, name);
  };

  const crypto = {
    getRandomValues<View extends ArrayBufferView>(view: View): View {
      const name = ArrayBuffer.isView(view) ? Object.prototype.toString.call(view) : "";
      if (!/(Int|Uint)(8|16|32)|Clamped|Big/.test(name)) {
        refuse("getRandomValues() requires an array of whole numbers.", "TypeMismatchError");
      }
      if (view.byteLength > MAX_BYTES) {
        refuse(`getRandomValues() gives at most ${MAX_BYTES} bytes.`, "QuotaExceededError");
      }
      const random = native("crypto.random", { size: view.byteLength }) as string;
      bytesOf(view).set(fromBinary(random));
      return view;
    },
    randomUUID(): string {
      return native("crypto.uuid", {}) as string;
    },
  };

  const timeOrigin = Date.now();
  const begun = native("clock.now", {}) as number;
  const performance = {
    timeOrigin,
    now: () => (native("clock.now", {}) as number) - begun,
    toJSON: () => ({ timeOrigin }),
  };

  return { crypto, performance };
}
