/** The page about identity lists the permissions that there are, in the words of the registry. */
import { readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { PERMISSIONS } from "../../runtime/contract/permissions.js";

it("docs/identity.md has a row for every permission", async () => {
  const page = await readFile(new URL("../../docs/identity.md", import.meta.url), "utf8");
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.+) \|$/gm)].map(([, name, text]) => [
    name,
    text,
  ]);
  expect(rows).toEqual(Object.entries(PERMISSIONS));
});
