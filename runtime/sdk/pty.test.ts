import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bubblewrapAvailability } from "../../test/support/bubblewrap.js";
import { createTestClient } from "../testing.js";
import type { AgentSpaces } from "./agent-spaces.js";
import { CancelledError, ConflictError, NotFoundError } from "./errors.js";
import type { Pty } from "./pty.js";
import type { Space } from "./space.js";

const bubblewrap = await bubblewrapAvailability();

describe.skipIf(!bubblewrap.usable)("a terminal", () => {
  let client: AgentSpaces;
  let space: Space;
  beforeAll(async () => {
    client = createTestClient({ driver: "bubblewrap" });
    space = await client.spaces.create();
  });
  afterAll(async () => {
    await client.close();
  });

  const open = (options = {}) => space.pty.open({ shell: "sh", env: { PS1: "" }, ...options });
  const screenOf = (pty: Pty) => {
    const screen = { text: "" };
    pty.onData((data) => {
      screen.text += Buffer.from(data).toString();
    });
    return screen;
  };

  it("is typed into, resized and interrupted, and tells how it ended", async () => {
    const pty = await open({ cols: 120, rows: 40 });
    const screen = screenOf(pty);
    await pty.write("stty size\n");
    await expect.poll(() => screen.text).toContain("40 120");
    await pty.resize(100, 50);
    await pty.write("stty size; echo $TERM\n");
    await expect.poll(() => screen.text).toContain("50 100\r\nxterm-256color");
    await pty.write("sleep 60; echo not here\n");
    await pty.write("\x03");
    // The terminal throws away what was typed ahead of an interrupt.
    await expect.poll(() => screen.text).toContain("^C");
    await pty.write(new TextEncoder().encode("echo back: $?\n"));
    await expect.poll(() => screen.text).toMatch(/back: 130/);
    await pty.write("exit 7\n");
    expect(await pty.exited).toEqual({ type: "exit", exitCode: 7 });
    await expect(pty.write("x")).rejects.toBeInstanceOf(ConflictError);
    await pty.kill();
    expect(await space.process.list()).toEqual([]);
  });

  it("keeps what came before anybody listened, and stops telling when asked to", async () => {
    const pty = await open();
    await pty.write("echo early\n");
    await expect.poll(() => pty.offset).toBeGreaterThan("echo early\r\nearly\r\n".length - 1);
    let heard = "";
    const stop = pty.onData((data) => {
      heard += Buffer.from(data).toString();
    });
    expect(heard).toContain("early\r\nearly\r\n");
    stop();
    const screen = screenOf(pty);
    await pty.write("echo later\n");
    await expect.poll(() => screen.text).toContain("later\r\nlater");
    expect(heard).not.toContain("later");
    await pty.kill();
    expect((await pty.exited).signal).toBe("SIGKILL");
  });

  it("is read in a loop, to the end", async () => {
    const pty = await open();
    const typing = pty.write("seq 1 50000; exit\n");
    let text = "";
    for await (const data of pty) text += Buffer.from(data).toString();
    await typing;
    expect(text).toContain("\n50000\r\n");
    expect(await pty.exited).toMatchObject({ exitCode: 0 });
  });

  it("is held up by a slow reader, and loses nothing", async () => {
    const pty = await open();
    await pty.write("stty -echo; seq 1 400000; exit\n");
    let bytes = 0;
    for await (const data of pty) {
      bytes += data.length;
      if (bytes < 2_000_000) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    // Each number, and a carriage return and a line feed for each.
    expect(bytes).toBeGreaterThanOrEqual(2_288_895 + 800_000 - 400_000);
  });

  it("runs on when it is left, and is found again", async () => {
    const pty = await open();
    const first = screenOf(pty);
    await pty.write("echo one\n");
    await expect.poll(() => first.text).toContain("one\r\none");
    await pty.detach();
    await expect(pty.exited).rejects.toBeInstanceOf(CancelledError);
    await expect(pty.resize(1, 1)).rejects.toBeInstanceOf(ConflictError);
    await using again = await space.pty.attach(pty.id, { offset: pty.offset });
    const second = screenOf(again);
    await again.write("echo two\n");
    await expect.poll(() => second.text).toContain("two\r\ntwo");
    expect(second.text).not.toContain("one");
  });

  it("is killed at the end of its block", async () => {
    let id: string;
    {
      await using pty = await open();
      id = pty.id;
    }
    await expect(space.process.get(id)).rejects.toBeInstanceOf(NotFoundError);
  });

  it("is refused for what has no terminal, no program and no size", async () => {
    const plain = await space.process.start("sleep 60");
    await expect(space.pty.attach(plain.id)).rejects.toBeInstanceOf(ConflictError);
    await plain.kill();
    await expect(open({ shell: "nope" })).rejects.toBeInstanceOf(NotFoundError);
    await expect(open({ cols: 0 })).rejects.toMatchObject({ code: "INVALID_INPUT" });
    await expect(open({ colour: "blue" })).rejects.toMatchObject({ code: "INVALID_INPUT" });
  });
});
