import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { streamOf, streamOfBytes, verified } from "./file-streams.js";

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array, void> {
  for (const text of texts) yield Buffer.from(text);
}

async function textOf(source: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const piece of source) all.push(piece);
  return Buffer.concat(all).toString();
}

const announced = (text: string) => ({
  "content-digest": `sha-256=:${createHash("sha256").update(text).digest("base64")}:`,
  "content-length": String(Buffer.byteLength(text)),
});

describe("a download", () => {
  it("gives what was announced", async () => {
    expect(await textOf(verified("a", pieces("one", "", "two"), announced("onetwo")))).toBe(
      "onetwo",
    );
    expect(await textOf(verified("a", pieces(), announced("")))).toBe("");
  });

  it("ends with an error when something else came, or less, or nothing was announced", async () => {
    const refused = { code: "HASH_MISMATCH", message: expect.stringContaining('"a"') };
    const other = textOf(verified("a", pieces("onetwo!"), announced("onetwo")));
    await expect(other).rejects.toMatchObject(refused);
    const less = textOf(verified("a", pieces("one"), announced("onetwo")));
    await expect(less).rejects.toMatchObject(refused);
    const silent = { ...announced("one"), "content-digest": "" };
    await expect(textOf(verified("a", pieces("one"), silent))).rejects.toMatchObject(refused);
  });
});

describe("a stream", () => {
  it("carries bytes in pieces", async () => {
    const bytes = new Uint8Array(1_000_000).map((_, at) => at % 251);
    const all: Uint8Array[] = [];
    const stream = streamOfBytes(bytes) as unknown as AsyncIterable<Uint8Array>;
    for await (const piece of stream) all.push(piece);
    expect(all.length).toBeGreaterThan(1);
    expect(Buffer.concat(all).equals(bytes)).toBe(true);
  });

  it("ends its source when its reader leaves", async () => {
    let ended = false;
    async function* endless(): AsyncGenerator<Uint8Array, void> {
      try {
        for (;;) yield new Uint8Array(1);
      } finally {
        ended = true;
      }
    }
    const reader = streamOf(endless()).getReader();
    await reader.read();
    await reader.cancel();
    expect(ended).toBe(true);
  });
});
