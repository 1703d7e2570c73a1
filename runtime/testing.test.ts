import { existsSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createTestClient } from "./testing.js";

describe("a test client", () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  it("has an engine of its own, and leaves nothing behind", async () => {
    const directories: string[] = [];
    {
      await using client = createTestClient();
      await using other = createTestClient();
      const space = await client.spaces.create({ name: "one" });
      await space.run("echo > file");
      expect(await other.spaces.exists("one")).toBe(false);
      for (const { system } of [client, other])
        directories.push((await system.info()).dataDir ?? "");
      expect(space.workspace).toContain(directories[0]);
      expect(directories.map(existsSync)).toEqual([true, true]);
    }
    expect(directories.map(existsSync)).toEqual([false, false]);
  });

  it("is closed where it was never used", async () => {
    const client = createTestClient();
    await client.close();
    await expect(client.spaces.list()).rejects.toThrow("closed");
  });

  it("knows nothing of the environment", async () => {
    vi.stubEnv("SPACES_URL", "http://127.0.0.1:9");
    vi.stubEnv("SPACES_TOKEN", "spt_nope");
    vi.stubEnv("SPACES_DRIVER", "nope");
    vi.stubEnv("SPACES_HOME", "/nonexistent");
    await using client = createTestClient();
    const space = await client.spaces.create();
    expect(space.driver).toBe("virtual");
  });
});
