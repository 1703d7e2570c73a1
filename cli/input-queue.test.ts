import { describe, expect, it } from "vitest";
import { InputQueue } from "./input-queue.js";

/** Writes that wait until they are let go. */
function slowWriter() {
  const writes: { text: string; close: boolean; done: (error?: Error) => void }[] = [];
  const write = (data: Buffer, close: boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (error?: Error): void => (error === undefined ? resolve() : reject(error));
      writes.push({ text: data.toString(), close, done });
    });
  return { writes, write };
}

const unexpected = (error: unknown): never => {
  throw error;
};

describe("InputQueue", () => {
  it("sends what comes during a write together with the next, in order", async () => {
    const { writes, write } = slowWriter();
    const queue = new InputQueue(write, unexpected);
    for (const key of ["a", "b", "c"]) queue.push(Buffer.from(key));
    expect(writes.map(({ text }) => text)).toEqual(["a"]);
    queue.end();
    writes[0]?.done();
    await Promise.resolve();
    writes[1]?.done();
    await queue.written();
    expect(writes.map(({ text, close }) => [text, close])).toEqual([
      ["a", false],
      ["bc", true],
    ]);
  });

  it("ends an input that has no bytes", async () => {
    const { writes, write } = slowWriter();
    const queue = new InputQueue(write, unexpected);
    queue.end();
    writes[0]?.done();
    await queue.written();
    expect(writes.map(({ text, close }) => [text, close])).toEqual([["", true]]);
  });

  it("cuts much input into writes of at most 512 KiB", async () => {
    const sizes: number[] = [];
    const queue = new InputQueue(async (data) => void sizes.push(data.length), unexpected);
    queue.push(Buffer.alloc(1_200_000));
    await queue.written();
    expect(sizes).toEqual([524_288, 524_288, 151_424]);
  });

  it("tells of a write that fails once, and writes nothing after it", async () => {
    const { writes, write } = slowWriter();
    const errors: unknown[] = [];
    const queue = new InputQueue(write, (error) => errors.push(error));
    queue.push(Buffer.from("a"));
    queue.push(Buffer.from("b"));
    const failure = new Error("gone");
    writes[0]?.done(failure);
    await queue.written();
    queue.push(Buffer.from("c"));
    await queue.written();
    expect(errors).toEqual([failure]);
    expect(writes.length).toBe(1);
  });
});
