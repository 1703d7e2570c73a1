/** The page about schedules is right: its YAML applies, its script runs, its receiver takes real signatures. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signatureOf } from "../../runtime/engine/schedules/webhook.js";
import { CliHome, ROOT } from "../support/cli.js";

const page = readFileSync(join(ROOT, "docs/schedules.md"), "utf8");
const blocks = (language: string, pattern: RegExp): string[] =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name, text = ""]) => name === language && pattern.test(text))
    .map(([, , text = ""]) => text);

let home: CliHome;
beforeAll(async () => {
  home = await CliHome.make();
  for (const name of ["backup", "health"]) {
    await home.json(["scripts", "save", await home.write(`${name}.ts`, "1")]);
  }
  await home.json(["create", "db"]);
});
afterAll(() => home[Symbol.asyncDispose]());

describe("docs/schedules.md", () => {
  it("has YAML that can be applied", async () => {
    const [yaml = ""] = blocks("yaml", /^cron:/m);
    const { items } = await home.json<{ items: { name: string }[] }>(["schedules", "apply", "-"], {
      input: yaml,
    });
    expect(items).toEqual([
      { name: "nightly", result: "created" },
      { name: "hourly", result: "created" },
    ]);
  });

  it("has a script that runs", async () => {
    const [script = ""] = blocks("ts", /from "schedules"/);
    expect(await home.script(script)).toMatchObject({ code: 0, stdout: "true\n", stderr: "" });
  });

  it("has a receiver that takes genuine signatures and no others", async () => {
    const [source = ""] = blocks("ts", /isGenuine/);
    const { code } = await transform(source, { loader: "ts" });
    const { isGenuine } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
      isGenuine(signature: string, body: string, secret: string): boolean;
    };
    const body = '{"ü":1}';
    const now = Math.floor(Date.now() / 1000);
    const genuine = signatureOf(body, "a secret", now);
    expect(isGenuine(genuine, body, "a secret")).toBe(true);
    for (const [signature, text, secret] of [
      [genuine, `${body} `, "a secret"],
      [genuine, body, "another secret"],
      [signatureOf(body, "a secret", now - 301), body, "a secret"],
      [genuine.replace(`${now}`, `${now + 1}`), body, "a secret"],
      ["", body, "a secret"],
    ] as const) {
      expect(isGenuine(signature, text, secret)).toBe(false);
    }
  });

  it("lists every setting by its names", async () => {
    const { stdout } = await home.run(["schedules", "add", "--help"]);
    const [own = ""] = stdout.split("Global Options:");
    const rows = [...page.matchAll(/^\| `(--[\w-]+)/gm)].map(([, option]) => option);
    for (const [, option] of own.matchAll(/^ {2}(--[\w-]+)/gm)) {
      const shown = option?.startsWith("--notify") ? "--notify-" : option;
      if (option !== "--paused" && option !== "--help") expect(rows).toContain(shown);
    }
  });
});
