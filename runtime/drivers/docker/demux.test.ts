/** Docker's multiplexed stream: split anywhere, slow readers, hostile headers. */
import { describe, expect, it } from "vitest";
import { Demuxer } from "./demux.js";
import { text } from "./test-space.js";

function frame(kind: number, payload: string | Buffer): Buffer {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header[0] = kind;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

const admit = async () => true;

describe("Demuxer", () => {
  it("separates the two outputs wherever the stream is split", async () => {
    const whole = Buffer.concat([frame(1, "one "), frame(2, "err"), frame(1, ""), frame(1, "two")]);
    for (let size = 1; size <= whole.length; size++) {
      const demuxer = new Demuxer(admit);
      const output = Promise.all([text(demuxer.stdout), text(demuxer.stderr)]);
      for (let at = 0; at < whole.length; at += size) demuxer.write(whole.subarray(at, at + size));
      demuxer.end();
      expect(await output).toEqual(["one two", "err"]);
    }
  });

  it("takes nothing more while a reader is slow", async () => {
    const demuxer = new Demuxer(admit);
    const chunk = frame(1, Buffer.alloc(64 * 1024));
    let taken = 0;
    const write = (): void => {
      demuxer.write(chunk, () => {
        taken += 1;
        if (taken < 1000) write();
      });
    };
    write();
    await expect.poll(() => demuxer.blocked !== undefined).toBe(true);
    expect(taken).toBeLessThan(10);
    demuxer.stdout.resume();
    await expect.poll(() => taken).toBe(1000);
    demuxer.close();
  });

  it("goes on for one output when the reader of the other went away", async () => {
    const demuxer = new Demuxer(admit);
    demuxer.stdout.destroy();
    const stderr = text(demuxer.stderr);
    for (let index = 0; index < 20; index++) demuxer.write(frame(1, Buffer.alloc(64 * 1024)));
    demuxer.end(frame(2, "heard"));
    expect(await stderr).toBe("heard");
  });

  it("does not allocate by the length that a header claims", async () => {
    const demuxer = new Demuxer(admit);
    const header = Buffer.from([1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    const before = process.memoryUsage().arrayBuffers;
    const stdout = text(demuxer.stdout);
    demuxer.write(header);
    demuxer.end("only this");
    expect(await stdout).toBe("only this");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(50e6);
  });

  it.each([
    ["an unknown kind", [9, 0, 0, 0, 0, 0, 0, 1]],
    ["filled padding", [1, 0, 7, 0, 0, 0, 0, 1]],
    ["text", [...Buffer.from("not a fr")]],
  ])("fails on %s in a header", async (_what, header) => {
    const demuxer = new Demuxer(admit);
    const failure = new Promise((resolve) => demuxer.once("error", resolve));
    demuxer.write(Buffer.from(header));
    expect(await failure).toMatchObject({ code: "DRIVER_FAILED" });
  });

  it("delivers nothing of what is not the program's", async () => {
    const demuxer = new Demuxer(async () => false);
    const stdout = text(demuxer.stdout);
    demuxer.end(frame(1, `refused\r\n${"x".repeat(100_000)}`));
    expect(await stdout).toBe("");
    expect(demuxer.withheld).toMatch(/^refused/);
    expect(demuxer.withheld.length).toBeLessThan(10_000);
  });
});
