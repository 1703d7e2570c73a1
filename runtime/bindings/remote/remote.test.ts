import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../../test/support/bubblewrap.js";
import { openServed, type Served } from "../../../test/support/served.js";
import { hostCallFor } from "../host-call.js";

const bubblewrap = await bubblewrapAvailability();

describe("the remote binding, to a server", () => {
  let served: Served;

  beforeAll(async () => {
    served = await openServed();
    await served.binding.client.spaces.create({ name: "box" });
    await served.binding.client.spaces.start({ space: "box" });
  });
  afterAll(() => served[Symbol.asyncDispose]());

  it("answers as the local binding does, without paths of the server's machine", async () => {
    const { client, kind } = served.binding;
    expect(kind).toBe("remote");
    const ran = await client.processes.run({ space: "box", command: "echo", args: ["a b", "ü"] });
    expect(ran).toMatchObject({ exitCode: 0, stdout: "a b ü\n" });
    const space = await client.spaces.get({ space: "box" });
    expect(space).toMatchObject({ name: "box", isRunning: true });
    expect(space.workspace).toBeUndefined();
    expect((await client.system.info({})).binding).toBe("remote");
  });

  it("throws the registry's errors, with the server's request id", async () => {
    const { client } = served.binding;
    await expect(client.spaces.get({ space: "nope" })).rejects.toMatchObject({
      name: "SpacesError",
      code: "SPACE_NOT_FOUND",
      message: expect.stringContaining("nope"),
      details: { requestId: expect.stringMatching(/^req_/) },
    });
    await expect(
      client.spaces.create({ name: "Not A Name" } as { name: string }),
    ).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });

  it("is the host of scripts, unchanged", async () => {
    const call = hostCallFor(async () => served.binding.client);
    const { signal } = new AbortController();
    expect(await call("spaces.get", { space: "box" }, { signal })).toMatchObject({ name: "box" });
    await expect(call("spaces.get", { space: "nope" }, { signal })).rejects.toMatchObject({
      code: "SPACE_NOT_FOUND",
    });
  });

  it("cancels a command on the server when its signal fires", async () => {
    const { client } = served.binding;
    const abort = new AbortController();
    const ran = client.processes.run(
      { space: "box", command: "sleep 100", timeoutMs: 200_000 },
      { signal: abort.signal },
    );
    await expect
      .poll(async () => (await client.spaces.get({ space: "box" })).activity)
      .toBe("busy");
    abort.abort();
    await expect(ran).rejects.toMatchObject({ code: "CANCELLED" });
    await expect
      .poll(async () => (await client.spaces.get({ space: "box" })).activity)
      .toBe("idle");
  });

  it("cancels what is under way when it is closed", async () => {
    const other = await served.connect();
    const ran = other.client.processes.run({ space: "box", command: "sleep 100", timeoutMs: 2e5 });
    await expect
      .poll(async () => (await served.binding.client.spaces.get({ space: "box" })).activity)
      .toBe("busy");
    await Promise.all([
      expect(ran).rejects.toMatchObject({ code: "CANCELLED" }),
      other[Symbol.asyncDispose](),
    ]);
    await expect(other.client.spaces.list({})).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("reaches a server over its unix socket", async () => {
    const directory = await mkdtemp(join(tmpdir(), "spaces-socket-"));
    const socket = join(directory, "a b.sock");
    const local = await openServed({ socket });
    try {
      const url = `unix://${directory}/a%20b.sock`;
      const binding = await local.connect({ url });
      expect((await binding.client.system.whoami({})).permissions).toContain("UseSpaces");
    } finally {
      await local[Symbol.asyncDispose]();
      await rm(directory, { recursive: true, force: true });
    }
  });
});

describe.skipIf(!bubblewrap.usable)(
  "the remote binding, with processes that outlive their caller",
  () => {
    let real: Served;
    beforeAll(async () => {
      real = await openServed({ driver: "bubblewrap" });
      await real.binding.client.spaces.create({ name: "real" });
      await real.binding.client.spaces.start({ space: "real" });
    });
    afterAll(() => real[Symbol.asyncDispose]());

    it("follows their output to the end", async () => {
      const { client } = real.binding;
      const { id } = await client.processes.start({
        space: "real",
        command: "for i in 1 2 3; do echo $i; sleep 0.1; done; echo no >&2; exit 4",
      });
      const texts = { stdout: "", stderr: "" };
      let exit: unknown;
      for await (const event of await client.processes.follow({ space: "real", process: id })) {
        if (event.type === "exit") exit = event;
        else if (event.type !== "lost") texts[event.type] += Buffer.from(event.data, "base64");
      }
      expect(texts).toEqual({ stdout: "1\n2\n3\n", stderr: "no\n" });
      expect(exit).toMatchObject({ exitCode: 4 });
    });

    it("lets go at once of a process that prints nothing", async () => {
      const { client } = real.binding;
      const { id } = await client.processes.start({ space: "real", command: "sleep 1000" });
      const followed = await client.processes.follow({ space: "real", process: id });
      const iterator = followed[Symbol.asyncIterator]();
      const next = iterator.next();
      await iterator.return?.();
      expect(await next).toMatchObject({ done: true });
      const abort = new AbortController();
      const again = await client.processes.follow(
        { space: "real", process: id },
        { signal: abort.signal },
      );
      const pending = again[Symbol.asyncIterator]().next();
      abort.abort();
      await expect(pending).rejects.toMatchObject({ code: "CANCELLED" });
      await client.processes.kill({ space: "real", process: id });
    });

    it("follows a process that does not exist to a clear error", async () => {
      const missing = { space: "real", process: "0".repeat(32) };
      const follow = async () => {
        for await (const _event of await real.binding.client.processes.follow(missing));
      };
      await expect(follow()).rejects.toMatchObject({ code: "PROCESS_NOT_FOUND" });
    });

    it("attaches to one in a terminal, types, and reads the answer", async () => {
      const { client } = real.binding;
      const { id } = await client.processes.start({
        space: "real",
        command: "sh",
        input: true,
        terminal: { columns: 90, rows: 20 },
        env: { PS1: "" },
      });
      await using attachment = await real.binding.attach({ space: "real", process: id });
      await attachment.resize({ columns: 91, rows: 21 });
      await attachment.write(Buffer.from("stty size; exit 6\n"));
      let screen = "";
      for await (const event of attachment.events) {
        if (event.type === "stdout") screen += Buffer.from(event.data);
        if (event.type === "exit") expect(event.exitCode).toBe(6);
      }
      expect(screen).toContain("21 91");
      const other = real.binding.attach({ space: "real", process: "0".repeat(32) });
      await expect(other).rejects.toMatchObject({ code: "PROCESS_NOT_FOUND" });
    });
  },
);
