/** The filter of system calls as the kernel would read it; that it bites, the hardening tests show. */
import { describe, expect, it } from "vitest";
import { seccompFilter } from "./seccomp.js";

const REFUSE = 0x0005_0001;
const ALLOW = 0x7fff_0000;
const X64 = 0xc000_003e;

/** Runs a filter, as the kernel does. */
function verdict(filter: Buffer, architecture: number, call: number): number {
  let loaded = 0;
  for (let at = 0; at < filter.length; at += 8) {
    const value = filter.readUInt32LE(at + 4);
    const jump = (taken: boolean) => 8 * filter.readUInt8(taken ? at + 2 : at + 3);
    switch (filter.readUInt16LE(at)) {
      case 0x20:
        loaded = value === 4 ? architecture : call;
        break;
      case 0x15:
        at += jump(loaded === value);
        break;
      case 0x35:
        at += jump(loaded >= value);
        break;
      case 0x06:
        return value;
    }
  }
  throw new Error("the filter has no end");
}

describe("the filter of system calls", () => {
  const filter = seccompFilter("x64") ?? Buffer.alloc(0);

  it("refuses keys, tracing, modules and the like, and allows the rest", () => {
    for (const call of [248, 249, 250, 321, 298, 323, 175, 313, 176, 246, 304, 425, 320]) {
      expect([call, verdict(filter, X64, call)]).toEqual([call, REFUSE]);
    }
    for (const call of [0, 1, 59, 231, 302, 435]) {
      expect([call, verdict(filter, X64, call)]).toEqual([call, ALLOW]);
    }
  });

  it("refuses the same calls made in another way", () => {
    expect(verdict(filter, X64, 0x4000_0000 + 250)).toBe(REFUSE);
    expect(verdict(filter, 0x4000_0003, 288)).toBe(REFUSE);
    expect(verdict(filter, 0x4000_0003, 4)).toBe(ALLOW);
    expect(verdict(filter, 0xc000_00b7, 4)).toBe(REFUSE);
  });

  it("is there for every processor that the agent is built for", () => {
    expect(seccompFilter("arm64")).toBeDefined();
    expect(seccompFilter("mips")).toBeUndefined();
  });
});
