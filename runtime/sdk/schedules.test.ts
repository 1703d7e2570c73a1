import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSdk, PLACES, type SdkClient } from "../../test/support/sdk.js";
import type { AgentSpaces } from "./agent-spaces.js";
import { ConflictError, InvalidInputError, NotFoundError } from "./errors.js";

describe.each(PLACES)("schedules on %s", (place) => {
  let opened: SdkClient;
  let client: AgentSpaces;
  beforeAll(async () => {
    opened = await openSdk(place, "virtual");
    client = opened.client;
    await client.scripts.save("backup", "1");
  });
  afterAll(() => opened[Symbol.asyncDispose]());

  const least = { cron: "0 3 1 1 *", script: "backup" };

  it("are added, changed, paused, resumed and removed", async () => {
    const added = await client.schedules.add("one", {
      ...least,
      args: Object.freeze(["a"]),
      input: { since: 1 },
      grant: ["UseSpaces"],
      notify: { webhook: { url: "https://example.org/", secret: "0123456789" } },
    });
    expect(added).toMatchObject({ args: ["a"], input: { since: 1 }, grant: ["UseSpaces"] });
    expect(added.notify?.webhook).toEqual({ url: "https://example.org/", signed: true });
    const changed = await client.schedules.update("one", { input: null, grant: null, retries: 2 });
    expect(changed).toMatchObject({ input: null, grant: null, retries: 2, args: ["a"] });
    expect((await client.schedules.pause("one")).paused).toBe(true);
    expect((await client.schedules.resume("one")).paused).toBe(false);
    expect((await client.schedules.list()).map(({ name }) => name)).toEqual(["one"]);
    await client.schedules.remove("one");
    await expect(client.schedules.get("one")).rejects.toBeInstanceOf(NotFoundError);
  });

  it("fail with the classes of the SDK", async () => {
    await client.schedules.add("taken", least);
    await expect(client.schedules.add("taken", least)).rejects.toBeInstanceOf(ConflictError);
    const wrong = client.schedules.add("x", { ...least, cron: "never" });
    await expect(wrong).rejects.toBeInstanceOf(InvalidInputError);
    const big = client.schedules.add("x", { ...least, input: 1n });
    await expect(big).rejects.toBeInstanceOf(InvalidInputError);
    const gone = client.schedules.add("x", { ...least, script: "gone" });
    await expect(gone).rejects.toBeInstanceOf(NotFoundError);
    const late = client.schedules.list({ signal: AbortSignal.abort() });
    await expect(late).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("are applied from YAML", async () => {
    const source = 'name: applied\ncron: "@yearly"\nscript: backup\ntimeout: 5m\n';
    expect(await client.schedules.apply(source)).toEqual([{ name: "applied", result: "created" }]);
    expect((await client.schedules.get("applied")).timeoutMs).toBe(300_000);
    const wrong = client.schedules.apply(`${source}crom: 1\n`, { filename: "mine.yaml" });
    await expect(wrong).rejects.toThrow("mine.yaml:5:7: crom: is not a setting of schedules");
  });

  it("give their jobs by the page, and one by one", async () => {
    await client.schedules.add("busy", { ...least, paused: true, overlap: "queue" });
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.unshift((await client.schedules.run("busy")).id);
    const first = await client.schedules.history("busy", { limit: 2 });
    expect(first.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const rest = await client.schedules.history("busy", { cursor: first.nextCursor });
    expect(rest.map(({ id }) => id)).toEqual(ids.slice(2));
    const all: string[] = [];
    for await (const { id } of client.schedules.iterateHistory("busy", { limit: 1 })) all.push(id);
    expect(all).toEqual(ids);
  });

  it("are foretold", async () => {
    const times = await client.schedules.preview("@yearly", { timezone: "Asia/Tokyo", count: 2 });
    expect(times).toHaveLength(2);
    expect(times.every((time) => time.endsWith("-12-31T15:00:00.000Z"))).toBe(true);
  });
});
