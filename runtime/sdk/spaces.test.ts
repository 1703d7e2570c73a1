import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestClient } from "../testing.js";
import type { AgentSpaces } from "./agent-spaces.js";
import {
  CancelledError,
  ConflictError,
  InvalidInputError,
  NotFoundError,
  TimeoutError,
  UnsupportedError,
} from "./errors.js";

let client: AgentSpaces;
beforeAll(() => {
  client = createTestClient();
});
afterAll(async () => {
  await client.close();
});

describe("creating a space", () => {
  it("starts it, and gives it a readable name where it has none", async () => {
    const space = await client.spaces.create();
    expect(space.name).toMatch(/^[a-z]+-[a-z]+-[0-9a-v]{5}$/);
    expect(space).toMatchObject({ status: "running", isRunning: true, driver: "virtual" });
    expect((await space.run("echo hello")).stdout).toBe("hello\n");
    expect(new Date(space.createdAt).toISOString()).toBe(space.createdAt);
  });

  it("takes all that a space can have", async () => {
    const space = await client.spaces.create({
      name: "full",
      template: "default",
      description: "A test",
      shell: "sh",
      env: { COLOUR: "blue" },
      fields: { environment: "testing" },
      metadata: { team: "a", attempt: 2, urgent: true },
      start: false,
    });
    expect(space).toMatchObject({
      name: "full",
      description: "A test",
      shell: "sh",
      status: "stopped",
      isRunning: false,
      env: { COLOUR: "blue" },
      metadata: { team: "a", attempt: "2", urgent: "true" },
    });
    expect(await space.fields.get("environment")).toBe("testing");
    expect(JSON.parse(JSON.stringify(space))).toMatchObject({ id: space.id, name: "full" });
  });

  it("refuses what later versions will have, and what none has", async () => {
    for (const option of ["policy", "capabilities"]) {
      const options = { name: "refused", [option]: "standard" };
      const refusal = await client.spaces.create(options).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(UnsupportedError);
      expect(refusal).toMatchObject({ message: expect.stringContaining("later version") });
    }
    const unknown = { name: "refused", colour: "blue" };
    await expect(client.spaces.create(unknown)).rejects.toBeInstanceOf(InvalidInputError);
    expect(await client.spaces.exists("refused")).toBe(false);
  });

  it("leaves nothing of a space that cannot be started", async () => {
    await client.templates.apply("name: broken\nsetup: ['exit 3']\n");
    const creating = client.spaces.create({ name: "broken", template: "broken" });
    await expect(creating).rejects.toMatchObject({ code: "SPACE_START_FAILED" });
    expect(await client.spaces.exists("broken")).toBe(false);
  });

  it("says that a name is taken", async () => {
    await client.spaces.create({ name: "taken", start: false });
    await expect(client.spaces.create({ name: "taken" })).rejects.toBeInstanceOf(ConflictError);
  });
});

describe("finding spaces", () => {
  it("lists by page, and goes through all of them", async () => {
    for (const name of ["page-a", "page-b", "page-c"]) {
      await client.spaces.create({ name, metadata: { set: 1 }, start: false });
    }
    const first = await client.spaces.list({ metadata: { set: 1 }, limit: 2 });
    expect(first.map((space) => space.name)).toEqual(["page-a", "page-b"]);
    expect(first.nextCursor).toBeDefined();
    const cursor = first.nextCursor;
    const rest = await client.spaces.list({ metadata: { set: 1 }, limit: 2, cursor });
    expect([...rest].map((space) => space.name)).toEqual(["page-c"]);
    expect(rest.nextCursor).toBeUndefined();
    const names: string[] = [];
    for await (const space of client.spaces.iterate({ metadata: { set: 1 } })) {
      names.push(space.name);
    }
    expect(names).toEqual(["page-a", "page-b", "page-c"]);
    let all = 0;
    for await (const _ of client.spaces) all += 1;
    expect(all).toBeGreaterThanOrEqual(3);
  });

  it("filters by status, and names ours where another product's is given", async () => {
    const space = await client.spaces.create({ name: "filtered" });
    const running = await client.spaces.list({ status: "running" });
    expect(running.map(({ id }) => id)).toContain(space.id);
    const status = "ready" as "running";
    const refused = await client.spaces.list({ status }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(InvalidInputError);
    expect(refused).toMatchObject({
      message: expect.stringContaining('"ready"'),
      suggestion: expect.stringContaining('"running"'),
    });
    await expect(space.wait("nonsense" as "running")).rejects.toBeInstanceOf(InvalidInputError);
  });

  it("says which space does not exist", async () => {
    expect(await client.spaces.exists("nope")).toBe(false);
    const missing = await client.spaces.get("nope").catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(NotFoundError);
    expect(missing).toMatchObject({ code: "SPACE_NOT_FOUND", status: 404 });
    await expect(client.spaces.exists("No Name")).rejects.toBeInstanceOf(InvalidInputError);
  });
});

describe("a space", () => {
  it("changes, and is the same when it is asked for again", async () => {
    const space = await client.spaces.create({ name: "before", metadata: { a: "1" } });
    const other = await client.spaces.get("before");
    await space.update({ name: "after", metadata: { updated: true }, env: { A: "1" } });
    expect(space).toMatchObject({ name: "after", metadata: { updated: "true" }, env: { A: "1" } });
    expect(other.name).toBe("before");
    expect((await other.refresh()).name).toBe("after");
    expect((await client.spaces.update("after", { description: "new" })).description).toBe("new");
  });

  it("starts, stops, restarts and is waited for", async () => {
    const space = await client.spaces.create({ start: false });
    const watched = await client.spaces.get(space.id);
    const waiting = watched.wait("running", { timeoutMs: 30_000 });
    expect((await space.start()).isRunning).toBe(true);
    expect((await waiting).status).toBe("running");
    expect((await space.restart()).status).toBe("running");
    expect((await space.stop()).status).toBe("stopped");
    await expect(space.restart()).rejects.toBeInstanceOf(ConflictError);
    await expect(space.run("true")).rejects.toMatchObject({ code: "SPACE_NOT_RUNNING" });
    const late = client.spaces.wait(space.id, "running", { timeoutMs: 20 });
    await expect(late).rejects.toBeInstanceOf(ConflictError);
  });

  it("is deleted when stopped, destroyed in any case, and at the end of its block", async () => {
    const running = await client.spaces.create();
    await expect(client.spaces.delete(running.id)).rejects.toMatchObject({ code: "SPACE_RUNNING" });
    await running.destroy();
    expect(running).toMatchObject({ status: "destroyed", isRunning: false });
    expect(await client.spaces.exists(running.id)).toBe(false);
    await expect(running.destroy()).rejects.toBeInstanceOf(NotFoundError);
    let id: string;
    {
      await using scoped = await client.spaces.create();
      id = scoped.id;
      await client.spaces.delete(id, { force: true });
    }
    {
      await using scoped = await client.spaces.create();
      id = scoped.id;
    }
    expect(await client.spaces.exists(id)).toBe(false);
  });

  it("has fields, and shows secret ones only to who asks by name", async () => {
    const space = await client.spaces.create({ start: false });
    await space.fields.set("api_key", "sk-1");
    expect(await space.fields.get("api_key")).toBe("sk-1");
    const key = (await space.fields.list()).find((field) => field.name === "api_key");
    expect(key).toMatchObject({ value: "***", secret: true, isSet: true });
    await expect(space.fields.get("nope")).rejects.toBeInstanceOf(NotFoundError);
  });

  it("takes one length of time, not two and not none", async () => {
    const space = await client.spaces.create({ start: false });
    const both = { duration: 1, durationMs: 1 } as unknown as { duration: number };
    await expect(space.extend(both)).rejects.toBeInstanceOf(InvalidInputError);
    const none = {} as { duration: number };
    await expect(space.extend(none)).rejects.toBeInstanceOf(InvalidInputError);
  });

  it("runs stored scripts", async () => {
    const space = await client.spaces.create();
    await client.scripts.save(
      "greet",
      'import space from "space"; import { args } from "runtime"; console.log(space.name, args[0]);',
    );
    expect(await space.runScript("greet", ["x"])).toMatchObject({ output: `${space.name} x\n` });
    await client.scripts.save("dies", "null.x");
    expect(await space.runScript("dies")).toMatchObject({ exitCode: 1 });
    const checked = space.runScript("dies", [], { check: true });
    await expect(checked).rejects.toMatchObject({
      code: "SCRIPT_FAILED",
      details: { exitCode: 1 },
    });
    expect((await client.scripts.list()).map(({ name }) => name)).toEqual(["dies", "greet"]);
    expect((await client.scripts.get("dies")).source).toBe("null.x");
    await client.scripts.delete("dies");
    await expect(client.scripts.run("dies")).rejects.toBeInstanceOf(NotFoundError);
  });
});

describe("templates and the system", () => {
  it("are reached through the client", async () => {
    expect(await client.templates.apply("name: mine\n")).toEqual([
      { name: "mine", result: "created" },
    ]);
    expect((await client.templates.list()).map(({ name }) => name)).toContain("mine");
    expect(await client.templates.get("mine")).toMatchObject({ builtin: false });
    await client.templates.delete("mine");
    await expect(client.templates.get("mine")).rejects.toBeInstanceOf(NotFoundError);
    await expect(client.templates.apply("name: [")).rejects.toBeInstanceOf(InvalidInputError);
    const info = await client.system.info();
    expect(info.drivers.map(({ name }) => name)).toContain("virtual");
    expect((await client.system.whoami()).permissions).toContain("UseSpaces");
  });
});

describe("a call", () => {
  it("ends with its signal", async () => {
    const space = await client.spaces.create({ start: false });
    const abort = new AbortController();
    const waiting = space.wait("running", { signal: abort.signal });
    setTimeout(() => abort.abort(new Error("enough")), 50);
    const ended = await waiting.catch((error: unknown) => error);
    expect(ended).toBeInstanceOf(CancelledError);
    expect(ended).toMatchObject({ cause: expect.objectContaining({ message: "enough" }) });
    const gone = space.refresh({ signal: AbortSignal.abort() });
    await expect(gone).rejects.toBeInstanceOf(CancelledError);
  });

  it("ends when its time is up", async () => {
    const space = await client.spaces.create({ start: false });
    const signal = AbortSignal.timeout(50);
    const ended = await space.wait("running", { signal }).catch((error: unknown) => error);
    expect(ended).toBeInstanceOf(TimeoutError);
    expect(ended).toMatchObject({ code: "CALL_TIMEOUT" });
    for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await expect(space.refresh({ timeoutMs })).rejects.toBeInstanceOf(InvalidInputError);
    }
  });

  it("is refused by a client that is closed", async () => {
    const short = createTestClient();
    const space = await short.spaces.create();
    const running = space.exec("sleep 60");
    await Promise.allSettled([running, short.close(), short.close()]);
    await expect(space.refresh()).rejects.toBeInstanceOf(CancelledError);
    await expect(short.spaces.list()).rejects.toThrow("closed");
  });
});
