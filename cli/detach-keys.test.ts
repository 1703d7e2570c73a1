import { describe, expect, it } from "vitest";
import { DetachKeys } from "./detach-keys.js";

/** What is passed on of pieces that are typed one after the other. */
function typed(...pieces: string[]): string[] {
  const keys = new DetachKeys();
  return pieces.map((piece) => {
    const { pass, detach } = keys.read(Buffer.from(piece));
    return pass.toString() + (detach ? "<detach>" : "");
  });
}

describe("DetachKeys", () => {
  it("passes everything else on as it is", () => {
    expect(typed("ls\r", "\u0003", "grüße", "\u0011")).toEqual([
      "ls\r",
      "\u0003",
      "grüße",
      "\u0011",
    ]);
  });

  it("finds the keys in one piece and over two, and drops what comes behind them", () => {
    expect(typed("ab\u0010\u0011cd")).toEqual(["ab<detach>"]);
    expect(typed("ab\u0010", "\u0011")).toEqual(["ab", "<detach>"]);
  });

  it("passes a lone Ctrl-P on with the next key", () => {
    expect(typed("\u0010", "x")).toEqual(["", "\u0010x"]);
    expect(typed("\u0010\u0010", "x")).toEqual(["\u0010", "\u0010x"]);
    expect(typed("\u0010\u0010\u0011")).toEqual(["\u0010<detach>"]);
  });
});
