import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openTestHost, type TestHost } from "../../test/support/engine-host.js";
import { codeOf } from "../../test/support/error-code.js";

let test: TestHost;
beforeEach(async () => {
  test = await openTestHost();
});
afterEach(async () => {
  await test[Symbol.asyncDispose]();
});

const hasExpired = (space: string) =>
  expect.poll(() => codeOf(test.local.spaces.get({ space }))).toBe("SPACE_EXPIRED");

describe("a space with a time to live", () => {
  it("tells when it expires", async () => {
    const { createdAt, expiresAt } = await test.local.spaces.create({ name: "a", ttlMs: 60_000 });
    expect(Date.parse(expiresAt ?? "") - Date.parse(createdAt)).toBe(60_000);
    expect((await test.local.spaces.create({ name: "b" })).expiresAt).toBeUndefined();
  });

  it("is gone from lists and refused once its time is up, and can only be deleted", async () => {
    await test.local.spaces.create({ name: "a", ttlMs: 300 });
    await hasExpired("a");
    expect((await test.local.spaces.list({})).items).toEqual([]);
    const space = "a";
    const calls = [
      test.local.spaces.start({ space }),
      test.local.spaces.extend({ space, durationMs: 60_000 }),
      test.local.spaces.update({ space, description: "x" }),
      test.local.processes.run({ space, command: "true" }),
      test.local.fields.list({ space }),
      test.local.ports.list({ space }),
    ];
    for (const call of calls) expect(await codeOf(call)).toBe("SPACE_EXPIRED");
    await test.local.spaces.delete({ space });
    expect(await codeOf(test.local.spaces.get({ space }))).toBe("SPACE_NOT_FOUND");
  });

  it("is deleted by the sweep with its files, also while it runs", async () => {
    const { id } = await test.local.spaces.create({ name: "a", ttlMs: 1_500 });
    await test.local.spaces.start({ space: "a" });
    await test.local.spaces.create({ name: "stays", ttlMs: 3_600_000 });
    await test.host.engine.expiry.sweep();
    expect(await codeOf(test.local.spaces.get({ space: id }))).toBe("none");
    await hasExpired(id);
    await test.host.engine.expiry.sweep();
    expect(await codeOf(test.local.spaces.get({ space: id }))).toBe("SPACE_NOT_FOUND");
    expect(await codeOf(test.local.spaces.get({ space: "stays" }))).toBe("none");
  });

  it("is deleted once by several engines that sweep at once", async () => {
    for (const name of ["a", "b", "c"]) await test.local.spaces.create({ name, ttlMs: 200 });
    await hasExpired("c");
    // Engines sweep when they open, too.
    const others = [await test.openAnother(), await test.openAnother()];
    await Promise.all([test.host, ...others].map((host) => host.engine.expiry.sweep()));
    const left = await test.host.engine.parts.store.selectFrom("spaces").selectAll().execute();
    expect(left).toEqual([]);
  });

  it("frees its name before it is swept", async () => {
    const { id } = await test.local.spaces.create({ name: "a", ttlMs: 200 });
    await hasExpired("a");
    expect((await test.local.spaces.create({ name: "a" })).id).not.toBe(id);
    expect(await codeOf(test.local.spaces.get({ space: id }))).toBe("SPACE_NOT_FOUND");
  });

  it("keeps the reason when it cannot be deleted", async () => {
    const { id } = await test.local.spaces.create({ name: "a", ttlMs: 200 });
    const { store } = test.host.engine.parts;
    const setDriver = (driver: string) =>
      store.updateTable("spaces").set({ driver }).where("id", "=", id).execute();
    await setDriver("gone");
    await hasExpired(id);
    await test.host.engine.expiry.sweep();
    const row = await store.selectFrom("spaces").selectAll().executeTakeFirstOrThrow();
    expect(row.status).toBe("error");
    expect(row.last_error).toContain("gone");
    await setDriver("virtual");
    // Left alone for a minute: let that have passed.
    await store.updateTable("spaces").set({ updated_at: "2020-01-01T00:00:00.000Z" }).execute();
    await test.host.engine.expiry.sweep();
    expect(await store.selectFrom("spaces").selectAll().execute()).toEqual([]);
  });
});

describe("extend", () => {
  it("adds to the time at which a space expires, each call for itself", async () => {
    const { expiresAt = "" } = await test.local.spaces.create({ name: "a", ttlMs: 60_000 });
    const extend = () => test.local.spaces.extend({ space: "a", durationMs: 1_000 });
    await Promise.all(Array.from({ length: 5 }, extend));
    const { expiresAt: later = "" } = await test.local.spaces.get({ space: "a" });
    expect(Date.parse(later) - Date.parse(expiresAt)).toBe(5_000);
  });

  it("refuses a space that never expires, and an end beyond ten years", async () => {
    await test.local.spaces.create({ name: "a" });
    expect(await codeOf(test.local.spaces.extend({ space: "a", durationMs: 1 }))).toBe("CONFLICT");
    await test.local.spaces.create({ name: "b", ttlMs: 315_000_000_000 });
    const extend = test.local.spaces.extend({ space: "b", durationMs: 315_000_000_000 });
    expect(await codeOf(extend)).toBe("INVALID_INPUT");
  });
});
