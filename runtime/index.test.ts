/** What programs import: its names, and what it costs. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { artifactUrl } from "./artifacts.js";

/** The files that importing a built file loads at once, and the packages. */
function staticImports(file: URL, seen = new Map<string, number>(), packages = new Set<string>()) {
  if (seen.has(file.href)) return { seen, packages };
  const text = readFileSync(file, "utf8");
  seen.set(file.href, text.length);
  for (const [, name = ""] of text.matchAll(
    /^(?:import|\} from|export .* from)[^"]*"([^"]+)";$/gm,
  )) {
    if (name.startsWith(".")) staticImports(new URL(name, file), seen, packages);
    else if (!name.startsWith("node:")) packages.add(name);
  }
  return { seen, packages };
}

describe("spaces-runtime", () => {
  it("exports these values", async () => {
    expect(Object.keys(await import("./index.js")).sort()).toMatchInlineSnapshot(`
      [
        "AgentSpaces",
        "CancelledError",
        "CommandFailedError",
        "ConflictError",
        "ERRORS",
        "InvalidInputError",
        "LimitExceededError",
        "NotFoundError",
        "PermissionDeniedError",
        "ScriptFailedError",
        "SpacesError",
        "TimeoutError",
        "UnauthenticatedError",
        "UnavailableError",
        "UnsupportedError",
        "openBinding",
      ]
    `);
  });

  it("exports these values for tests", async () => {
    expect(Object.keys(await import("./testing.js")).sort()).toMatchInlineSnapshot(`
      [
        "createTestClient",
      ]
    `);
  });

  it("exports these values to who serves", async () => {
    expect(Object.keys(await import("./server/server.js")).sort()).toEqual(["openServer"]);
  });

  it("gives its errors their names also when it is bundled", async () => {
    const built = (await import(artifactUrl("index.js").href)) as Record<string, unknown>;
    const names = Object.keys(built).filter((name) => name.endsWith("Error"));
    expect(names.map((name) => (built[name] as { name: string }).name)).toEqual(names);
  });

  it.each(["index.js", "testing.js"])("loads no package and no driver with %s", (name) => {
    const { seen, packages } = staticImports(artifactUrl(name));
    expect([...packages]).toEqual([]);
    const bytes = [...seen.values()].reduce((sum, size) => sum + size, 0);
    expect(seen.size).toBeGreaterThan(1);
    expect(bytes).toBeLessThan(150_000);
  });
});
