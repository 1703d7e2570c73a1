import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import type { GuestProcess, ProcessExit } from "../drivers/driver.js";
import { collect } from "./collect.js";

const LIMITS = { timeoutMs: 5_000, outputBytes: 100 };

function fakeProcess() {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exit = withResolvers();
  let kills = 0;
  const guest: GuestProcess = {
    stdout,
    stderr,
    exit: exit.promise,
    async kill() {
      kills += 1;
      stdout.end();
      stderr.end();
    },
  };
  return { guest, stdout, stderr, exit, kills: () => kills };
}

function withResolvers() {
  let resolve: (exit: ProcessExit) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<ProcessExit>((done, fail) => {
    resolve = done;
    reject = fail;
  });
  return { promise, resolve, reject };
}

describe("collect", () => {
  it("keeps both streams apart and together", async () => {
    const { guest, stdout, stderr, exit } = fakeProcess();
    const result = collect(guest, LIMITS);
    stdout.end("out");
    stderr.end("err");
    exit.resolve({ exitCode: 3, signal: undefined });
    expect(await result).toMatchObject({
      exitCode: 3,
      stdout: "out",
      stderr: "err",
      truncated: false,
      timedOut: false,
    });
    expect((await result).output).toHaveLength(6);
  });

  it("joins a character that is cut between two chunks", async () => {
    const { guest, stdout, stderr, exit } = fakeProcess();
    const result = collect(guest, LIMITS);
    const bytes = Buffer.from("aü€b");
    for (const byte of bytes) stdout.write(Buffer.from([byte]));
    stdout.end();
    stderr.end();
    exit.resolve({ exitCode: 0 });
    expect((await result).stdout).toBe("aü€b");
  });

  it("drops what is too much and says how much", async () => {
    const { guest, stdout, stderr, exit } = fakeProcess();
    const result = collect(guest, LIMITS);
    stdout.write(Buffer.alloc(70, "a"));
    stdout.end(Buffer.alloc(70, "b"));
    stderr.end();
    exit.resolve({ exitCode: 0 });
    const { stdout: kept, truncated } = await result;
    expect(truncated).toBe(true);
    expect(kept).toBe(
      `${"a".repeat(70)}${"b".repeat(30)}\n[spaces: 40 bytes of output were dropped]\n`,
    );
  });

  it("kills at the time limit and gives the output so far", async () => {
    const { guest, stdout, kills } = fakeProcess();
    stdout.write("so far");
    const result = await collect(guest, { ...LIMITS, timeoutMs: 20 });
    expect(result).toMatchObject({ exitCode: 124, timedOut: true, stdout: "so far" });
    expect(kills()).toBe(1);
  });

  it("kills when cancelled, also before it began", async () => {
    for (const abortFirst of [true, false]) {
      const { guest, kills } = fakeProcess();
      const abort = new AbortController();
      if (abortFirst) abort.abort();
      const result = collect(guest, { ...LIMITS, signal: abort.signal });
      abort.abort();
      await expect(result).rejects.toMatchObject({ code: "CANCELLED" });
      expect(kills()).toBe(1);
    }
  });

  it("passes on what the driver says when the outcome is unknown", async () => {
    const { guest, stdout, stderr, exit } = fakeProcess();
    const result = collect(guest, LIMITS);
    exit.reject(new SpacesError("DRIVER_UNAVAILABLE"));
    stdout.destroy(new Error("gone"));
    stderr.end();
    await expect(result).rejects.toMatchObject({ code: "DRIVER_UNAVAILABLE" });
  });
});
