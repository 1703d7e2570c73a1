/** The lock of a space, within one process; between processes the driver's tests use it. */
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { exclusively } from "./lock.js";

describe.skipIf(process.platform !== "linux")("the lock of a space", () => {
  it("lets one work at a time, and all in the end", async () => {
    const key = randomUUID();
    let inside = 0;
    let most = 0;
    const done = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        exclusively(key, undefined, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside -= 1;
          return index;
        }),
      ),
    );
    expect(done).toHaveLength(20);
    expect(most).toBe(1);
  });

  it("is released when the work fails, and keeps keys apart", async () => {
    const key = randomUUID();
    await expect(
      exclusively(key, undefined, () => Promise.reject(new Error("failed"))),
    ).rejects.toThrow("failed");
    const value = await exclusively(key, undefined, () =>
      exclusively(randomUUID(), undefined, async () => "both"),
    );
    expect(value).toBe("both");
  });

  it("stops waiting when it is cancelled", async () => {
    const key = randomUUID();
    const cancel = new AbortController();
    await exclusively(key, undefined, async () => {
      const waiting = exclusively(key, cancel.signal, async () => "never");
      cancel.abort();
      await expect(waiting).rejects.toMatchObject({ code: "CANCELLED" });
    });
  });
});
