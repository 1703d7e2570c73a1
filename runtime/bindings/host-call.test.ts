/** Which of the contract's procedures a script may call. */
import { describe, expect, it } from "vitest";
import type { Client } from "../contract/contract.js";
import { hostCallFor } from "./host-call.js";

const nowhere = hostCallFor(async () => ({}) as Client);
const call = (name: string) => nowhere(name, {}, { signal: new AbortController().signal });

describe("a call of a script", () => {
  it.each(["files.download", "files.upload", "processes.follow"])(
    "is refused for the stream %s",
    async (name) => {
      await expect(call(name)).rejects.toMatchObject({
        code: "INVALID_INPUT",
        message: expect.stringContaining("stream"),
      });
    },
  );

  it.each(["files", "files.nope", "nope.read", "files.__proto__", "__proto__.x", "files.read.x"])(
    "is refused for %s, which there is not",
    async (name) => {
      await expect(call(name)).rejects.toMatchObject({ code: "INVALID_INPUT" });
    },
  );
});
