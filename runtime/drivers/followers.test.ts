import { PassThrough, Writable } from "node:stream";
import { beforeEach, describe, expect, it } from "vitest";
import { SpacesError } from "../contract/errors.js";
import type { AttachedProcess } from "./driver.js";
import { Followers } from "./followers.js";

/** A process whose output the test writes, and the holds that were taken on it. */
class Source {
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  disposed = false;

  hold(lost = { stdout: 0, stderr: 0 }): AttachedProcess {
    return {
      stdout: this.stdout,
      stderr: this.stderr,
      stdin: new Writable(),
      exit: Promise.resolve({ exitCode: 0 }),
      lost,
      kill: async () => undefined,
      [Symbol.asyncDispose]: async () => {
        this.disposed = true;
      },
    };
  }
}

const START = { stdout: 0, stderr: 0 };

async function textOf(follower: AttachedProcess): Promise<string> {
  let text = "";
  for await (const bytes of follower.stdout) text += bytes;
  return text;
}

describe("followers of a process", () => {
  let sources: Source[];
  let followers: Followers;

  beforeEach(() => {
    sources = [];
    followers = new Followers(async () => {
      const source = new Source();
      sources.push(source);
      return source.hold();
    });
  });

  const source = (index: number): Source => {
    const found = sources[index];
    if (found === undefined) throw new Error(`there is no hold ${index}`);
    return found;
  };

  it("share one hold when they begin at the same time", async () => {
    const all = await Promise.all(Array.from({ length: 50 }, () => followers.follow("p", START)));
    expect(sources).toHaveLength(1);
    const texts = Promise.all(all.map(textOf));
    source(0).stdout.write("one ");
    source(0).stdout.end("two");
    expect(new Set(await texts)).toEqual(new Set(["one two"]));
  });

  it("share one hold when the later one's position is still kept", async () => {
    const first = await followers.follow("p", START);
    source(0).stdout.write("0123456789");
    first.stdout.read(0);
    await expect.poll(() => first.stdout.readableLength).toBe(10);
    const second = await followers.follow("p", { stdout: 4, stderr: 0 });
    source(0).stdout.end();
    expect(await textOf(second)).toBe("456789");
    expect(await textOf(first)).toBe("0123456789");
    expect(sources).toHaveLength(1);
  });

  it("get a hold of their own when their position is not kept, or not reached yet", async () => {
    const first = await followers.follow("p", START);
    await followers.follow("p", { stdout: 5, stderr: 0 });
    expect(sources).toHaveLength(2);
    first.stdout.resume();
    for (let i = 0; i < 20; i += 1) source(0).stdout.write(Buffer.alloc(64 * 1024));
    await expect.poll(() => source(0).stdout.readableLength).toBe(0);
    await followers.follow("p", START);
    expect(sources).toHaveLength(3);
  });

  it("hold the process back while the slowest of them does not read", async () => {
    const [fast] = await Promise.all([followers.follow("p", START), followers.follow("p", START)]);
    let read = 0;
    fast.stdout.on("data", (bytes: Buffer) => {
      read += bytes.length;
    });
    const { stdout } = source(0);
    const most = 2 * 1024 * 1024;
    const write = (left: number): void => {
      if (left > 0) stdout.write(Buffer.alloc(64 * 1024), () => write(left - 64 * 1024));
    };
    write(most);
    await expect.poll(() => stdout.writableNeedDrain).toBe(true);
    expect(read).toBeLessThan(most / 2);
  });

  it("let the others go on when the slowest of them leaves", async () => {
    const fast = await followers.follow("p", START);
    const slow = await followers.follow("p", START);
    const text = textOf(fast);
    source(0).stdout.end(Buffer.alloc(2 * 1024 * 1024, 97));
    await slow[Symbol.asyncDispose]();
    expect((await text).length).toBe(2 * 1024 * 1024);
  });

  it("let go of the process with the last of them", async () => {
    const first = await followers.follow("p", START);
    const second = await followers.follow("p", START);
    await first[Symbol.asyncDispose]();
    await first[Symbol.asyncDispose]();
    expect(source(0).disposed).toBe(false);
    await second[Symbol.asyncDispose]();
    expect(source(0).disposed).toBe(true);
    await followers.follow("p", START);
    expect(sources).toHaveLength(2);
  });

  it("keep little of a process that prints single bytes", async () => {
    const follower = await followers.follow("p", START);
    for (let i = 0; i < 1000; i += 1) source(0).stdout.write("x");
    source(0).stdout.end();
    expect(await textOf(follower)).toBe("x".repeat(1000));
  });

  it("all fail when the hold breaks", async () => {
    const all = [await followers.follow("p", START), await followers.follow("p", START)];
    const outcomes = Promise.allSettled(all.map(textOf));
    source(0).stdout.destroy(new SpacesError("SPACE_NOT_RUNNING"));
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ reason: { code: "SPACE_NOT_RUNNING" } });
    }
  });

  it("tell who asked first what is lost, and begin behind it", async () => {
    const only = new Source();
    followers = new Followers(async () => only.hold({ stdout: 100, stderr: 0 }));
    const follower = await followers.follow("p", START);
    expect(follower.lost).toEqual({ stdout: 100, stderr: 0 });
    only.stdout.end("rest");
    const late = await followers.follow("p", { stdout: 100, stderr: 0 });
    expect(await textOf(follower)).toBe("rest");
    expect(await textOf(late)).toBe("rest");
  });

  it("each hear of a hold that cannot be taken", async () => {
    followers = new Followers(async () => {
      throw new SpacesError("LIMIT_EXCEEDED");
    });
    const outcomes = await Promise.allSettled([
      followers.follow("p", START),
      followers.follow("p", START),
    ]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({ reason: { code: "LIMIT_EXCEEDED" } });
    }
  });
});
