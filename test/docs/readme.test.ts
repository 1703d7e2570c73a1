/** The documents tell the truth: their scripts run, their templates apply, their links lead somewhere. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CliHome, drivers, ROOT } from "../support/cli.js";

const PAGES = [
  ...readdirSync(ROOT).filter((file) => file.endsWith(".md")),
  ...readdirSync(join(ROOT, "docs")).map((file) => join("docs", file)),
].filter((file) => file.endsWith(".md"));

interface Block {
  readonly page: string;
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(ROOT, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map((match) => ({
    page,
    line: text.slice(0, match.index).split("\n").length,
    language: match[1] ?? "",
    text: match[2] ?? "",
  }));
}

const blocks = PAGES.flatMap(blocksOf);
const everyDriver = await drivers();
const inLanguage = (...languages: string[]) =>
  blocks.filter((block) => languages.includes(block.language));

/** A block is a script where it imports a module that scripts have. */
const scripts = inLanguage("ts", "js").filter((block) =>
  /^import .*"(spaces|spaces\/async|space|files|files\/async|runtime|yaml)"/m.test(block.text),
);

/** The words of each `spaces …` line, without comments. */
const commands = inLanguage("sh", "bash").flatMap((block) =>
  block.text.split("\n").flatMap((line) => {
    const [command = ""] = line.split(/\s+#/);
    const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(
      ([, quoted, bare]) => quoted ?? bare ?? "",
    );
    return words[0] === "spaces" ? [{ page: block.page, words: words.slice(1) }] : [];
  }),
);

/** Commands whose first word is a name for several. */
const GROUPS = new Set(
  "config fields files ports roles runs schedules scripts templates tokens users".split(" "),
);

let cli: CliHome;
beforeAll(async () => {
  cli = await CliHome.make();
});
afterAll(async () => {
  await cli[Symbol.asyncDispose]();
});

describe("the scripts in the documents", () => {
  it("are found", () => {
    expect(scripts.map((block) => block.page)).toContain("README.md");
  });

  describe.each(everyDriver)("on $driver", ({ driver, available }) => {
    it.skipIf(!available).each(scripts)("$page:$line runs", async ({ text }) => {
      const own = await CliHome.make(driver);
      try {
        const result = await own.script(text);
        expect(result).toMatchObject({ code: 0, stderr: "" });
        expect((await own.json<{ items: unknown[] }>(["list"])).items).toEqual([]);
      } finally {
        await own[Symbol.asyncDispose]();
      }
    });

    it.skipIf(!available)("the README's first script prints what it says", async () => {
      const own = await CliHome.make(driver);
      try {
        const [first] = scripts.filter((block) => block.page === "README.md");
        const lines = await own.lines(first?.text ?? "");
        expect(lines).toEqual(["a b|$HOME|", expect.stringMatching(/^0 \d+$/), "SPACE_NOT_FOUND"]);
      } finally {
        await own[Symbol.asyncDispose]();
      }
    });
  });
});

/** Other YAML, such as a compose file, names no template; schedules have a test of their own. */
const templates = inLanguage("yaml").filter(
  ({ text }) => /^name:/m.test(text) && !/^cron:/m.test(text),
);

describe("the templates in the documents", () => {
  it.each(templates)("$page:$line can be applied", async ({ text }) => {
    const applied = await cli.run(["templates", "apply", "-f", "-", "--json"], { input: text });
    expect(applied).toMatchObject({ code: 0, stderr: "" });
  });
});

describe("the commands in the documents", () => {
  it.each(commands)("$page: spaces $words", async ({ words }) => {
    const options = words.slice(0, words.includes("--") ? words.indexOf("--") : undefined);
    const names = options.filter((word) => !word.startsWith("-"));
    const [group = "", sub = ""] = names;
    const grouped = GROUPS.has(group);
    const help = await cli.run([group, ...(grouped ? [sub] : []), "--help"]);
    expect(help).toMatchObject({ code: 0, stderr: "" });
    expect(help.stdout).toContain(`Usage: spaces ${group}${grouped ? ` ${sub}` : ""}`);
    for (const option of options.filter((word) => word.startsWith("-"))) {
      const [name = ""] = option.split("=");
      expect(help.stdout).toMatch(new RegExp(`(^|[\\s,])${name}\\b`, "m"));
    }
  });

  it("of the README work one after the other", async () => {
    const [first] = scripts.filter((block) => block.page === "README.md");
    const [template] = templates.filter((block) => block.page === "README.md");
    const path = await cli.write("demo.ts", first?.text ?? "");
    const cwd = dirname(path);
    await cli.write("deploy.ts", 'import { name } from "space"; console.log("deploys to", name);');
    // What is meant for Docker is tried on the driver that is everywhere.
    const portable = template?.text.replace(/^(driver|image|network|resources):.*\n/gm, "") ?? "";
    await cli.write("web.yaml", portable.replace(/^setup:.*$/m, ""));
    await cp(join(ROOT, "scripts"), join(cwd, "scripts"), { recursive: true });
    const failed: string[] = [];
    // Terminals, background processes and ports need another driver, servers a port that is free;
    // all have tests of their own.
    const elsewhere = ["shell", "ports", "serve", "login"];
    const everywhere = ({ words }: (typeof commands)[number]) =>
      !elsewhere.includes(words[0] ?? "") && !words.includes("-d");
    const shown = commands.filter(({ page }) => page === "README.md");
    for (const { words } of shown.filter(everywhere)) {
      const result = await cli.run(words, { cwd });
      if (result.code !== 0) failed.push(`spaces ${words.join(" ")}: ${result.stderr}`);
    }
    expect(failed).toEqual([]);
    expect(await cli.run(["run", "deploy", "--space", "web"])).toMatchObject({
      stdout: "deploys to web\n",
    });
    expect(await cli.run(["fields", "get", "web", "environment"])).toMatchObject({
      stdout: "production\n",
    });
  });

  it("of the README's first lines are scripts of the package", () => {
    const { scripts: known } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    const lines = inLanguage("sh").flatMap((block) => block.text.split("\n"));
    const used = lines.flatMap((line) => [...line.matchAll(/npm (run )?([\w-]+)/g)]);
    for (const [, run, name = ""] of used) {
      if (run !== undefined || name === "test") expect(Object.keys(known)).toContain(name);
    }
  });

  it("leave a starter script that runs", async () => {
    const directory = join(dirname(await cli.write("starter/x", "")), "made");
    expect(await cli.run(["init", directory])).toMatchObject({ code: 0 });
    const result = await cli.run(["run", join(directory, "hello.ts")]);
    expect(result).toMatchObject({ code: 0, stdout: "hello from hello\n" });
    const config = JSON.parse(readFileSync(join(directory, "tsconfig.json"), "utf8")) as {
      compilerOptions: { types: string[] };
    };
    const [types = ""] = config.compilerOptions.types;
    expect(existsSync(resolve(directory, types))).toBe(true);
    const compile = promisify(execFile)(
      process.execPath,
      [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", directory],
      { cwd: directory },
    );
    await expect(compile).resolves.toMatchObject({ stdout: "" });
  });
});

describe("the pages", () => {
  it("list every error of the registry", async () => {
    const { errorsPage } = (await import(join(ROOT, "tools/docs.mjs"))) as {
      errorsPage: () => Promise<string>;
    };
    // A formatter may have padded the columns of the table.
    const compact = (text: string) => text.replace(/ *\| */g, "|").replace(/-{3,}/g, "---");
    const page = readFileSync(join(ROOT, "docs/errors.md"), "utf8");
    expect(compact(page)).toBe(compact(await errorsPage()));
  });

  it.each(PAGES)("%s links to what exists", (page) => {
    const text = readFileSync(join(ROOT, page), "utf8");
    const broken: string[] = [];
    for (const [, link = ""] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path = "", anchor] = link.split("#");
      const target = path === "" ? join(ROOT, page) : resolve(ROOT, dirname(page), path);
      if (!existsSync(target)) broken.push(link);
      else if (anchor !== undefined && !anchorsOf(target).includes(anchor)) broken.push(link);
    }
    expect(broken).toEqual([]);
  });
});

function anchorsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

describe("the package", () => {
  it("holds what users need, and nothing else", async () => {
    const { stdout } = await promisify(execFile)(
      "npm",
      ["pack", "--dry-run", "--json", "--ignore-scripts"],
      { cwd: ROOT, maxBuffer: 16 * 1024 * 1024 },
    );
    const [packed] = JSON.parse(stdout.slice(stdout.indexOf("["))) as [
      { files: { path: string }[]; unpackedSize: number },
    ];
    const files = packed.files.map((file) => file.path);
    expect(files).toEqual(
      expect.arrayContaining([
        "package.json",
        "README.md",
        "LICENSE",
        "SECURITY.md",
        "CHANGELOG.md",
        "dist/cli.js",
        "dist/index.js",
        "dist/server.js",
        "dist/testing.js",
        "dist/interpreter-worker.cjs",
        "dist/virtual-worker.js",
        "dist/quickjs.wasm",
        "dist/stdlib/spaces.js",
        "dist/stdlib-types/index.d.ts",
        "dist/stdlib-types/spaces.d.ts",
        "dist/types/runtime/index.d.ts",
        "dist/types/runtime/server/server.d.ts",
        "dist/types/runtime/testing.d.ts",
        ...readdirSync(join(ROOT, "scripts")).map((file) => `scripts/${file}`),
      ]),
    );
    const foreign = files.filter(
      (file) =>
        /\.test\.|^test\/|^node_modules\/|^\.|\.map$|\.key$|\.db$/.test(file) ||
        !/^(dist|scripts|README|LICENSE|SECURITY|CHANGELOG|package\.json)/.test(file),
    );
    expect(foreign).toEqual([]);
    expect(packed.unpackedSize).toBeLessThan(20 * 1024 * 1024);
  });

  it("names only files that exist in its manifest", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
      bin: Record<string, string>;
      exports: Record<string, string | Record<string, string>>;
    };
    const named = [
      ...Object.values(manifest.bin),
      ...Object.values(manifest.exports).flatMap((entry) =>
        typeof entry === "string" ? [entry] : Object.values(entry),
      ),
    ].filter((path) => !path.includes("*"));
    const missing = named.filter((path) => !existsSync(join(ROOT, path)));
    expect(missing.map((path) => relative(".", path))).toEqual([]);
  });
});
