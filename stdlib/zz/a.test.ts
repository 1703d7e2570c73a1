import { expect, it, vi } from "vitest";
vi.mock("spaces:host", () => ({ callSync: () => 5 }));
const { go } = await import("./a.js");
it("works", () => { expect(go()).toBe(5); });
