import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SecretBox } from "./secrets.js";

describe("SecretBox", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "spaces-secrets-"));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, force: true });
  });

  it("gives back what it encrypted, also from another process's box", async () => {
    const sealed = await new SecretBox(dir).encrypt("pässword", "spc_1/key");
    expect(sealed).not.toContain("pässword");
    expect(await new SecretBox(dir).decrypt(sealed, "spc_1/key")).toBe("pässword");
  });

  it("encrypts the same text differently each time", async () => {
    const box = new SecretBox(dir);
    expect(await box.encrypt("a", "p")).not.toBe(await box.encrypt("a", "p"));
  });

  it("refuses a value that was moved or changed", async () => {
    const box = new SecretBox(dir);
    const sealed = await box.encrypt("text", "spc_1/key");
    const changed = `${sealed.slice(0, -4)}AAA=`;
    for (const [value, place] of [
      [sealed, "spc_2/key"],
      [changed, "spc_1/key"],
      ["aes-256-gcm:", "spc_1/key"],
    ] as const) {
      await expect(box.decrypt(value, place)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    }
  });

  it("makes one key when several boxes make the first secret at once", async () => {
    const boxes = Array.from({ length: 10 }, () => new SecretBox(dir));
    const sealed = await Promise.all(boxes.map((box) => box.encrypt("x", "p")));
    for (const value of sealed) expect(await new SecretBox(dir).decrypt(value, "p")).toBe("x");
    expect((await stat(join(dir, "secrets.key"))).mode & 0o777).toBe(0o600);
  });

  it("says so when the key file is no key, and keeps the file", async () => {
    const file = join(dir, "secrets.key");
    await writeFile(file, "short");
    await chmod(file, 0o600);
    await expect(new SecretBox(dir).encrypt("x", "p")).rejects.toMatchObject({
      code: "STORE_UNAVAILABLE",
    });
    expect(await readFile(file, "utf8")).toBe("short");
  });
});
