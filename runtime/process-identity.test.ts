import { spawn } from "node:child_process";
import { once } from "node:events";
import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { livenessOf, PROCESS_IDENTITY } from "./process-identity.js";

describe("livenessOf", () => {
  it("knows that this process lives", () => {
    expect(livenessOf(PROCESS_IDENTITY)).toBe("alive");
  });

  it("knows that an ended process is dead, though its pid may come again", async () => {
    const child = spawn(process.execPath, ["-e", ""]);
    const { pid } = child;
    await once(child, "close");
    const parts = PROCESS_IDENTITY.split("/");
    parts[2] = String(pid);
    expect(livenessOf(parts.join("/"))).toBe("dead");
    parts[2] = String(process.ppid);
    expect(livenessOf(parts.join("/"))).toBe("dead");
  });

  it("knows that no process outlives a boot", () => {
    expect(livenessOf(`${hostname()}/another-boot/1/1`)).toBe("dead");
  });

  it("does not claim to know about other hosts", () => {
    expect(livenessOf("elsewhere/boot/1/1")).toBe("unknown");
  });
});
