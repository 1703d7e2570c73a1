/** The page about stored scripts is right: its files and commands do what it says, in its order. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome, ROOT } from "../support/cli.js";

const page = readFileSync(join(ROOT, "docs/scripts.md"), "utf8");

/** The files that the page names. */
const files = [...page.matchAll(/^`(\S+\.ts)`:\n\n```ts\n([\s\S]*?)^```$/gm)].map(
  ([, name = "", text = ""]) => ({ name, text }),
);

/** The lines of its commands: the words, and the beginning of what each prints. */
const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
  block
    .trimEnd()
    .split("\n")
    .map((line) => {
      const [command = "", comment = ""] = line.split(/ {2,}# /);
      return {
        command: command.trim(),
        words: [...command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)]
          .map(([, one, two, three]) => one ?? two ?? three ?? "")
          .slice(1),
        printed: comment.startsWith("→ ") ? comment.slice(2) : undefined,
      };
    }),
);

let cli: CliHome;
let cwd: string;
beforeAll(async () => {
  cli = await CliHome.make();
  for (const { name, text } of files) cwd = dirname(await cli.write(name, text));
});
afterAll(() => cli[Symbol.asyncDispose]());

describe("docs/scripts.md", () => {
  it("names files and commands", () => {
    expect(files.map(({ name }) => name)).toEqual(["backup.ts", "greeting.ts", "welcome.ts"]);
    expect(commands.length).toBeGreaterThan(25);
  });

  it.each(commands)("$command", async ({ words, printed }) => {
    const { code, stdout, stderr } = await cli.run(words, { cwd });
    expect({ code, stderr: stderr.includes("error") ? stderr : "" }).toEqual({
      code: 0,
      stderr: "",
    });
    if (printed === undefined) return;
    expect(stdout.split("\n")[0]?.trimEnd().slice(0, printed.length)).toBe(printed);
  });
});
