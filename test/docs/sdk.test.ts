/**
 * The programs of these pages are right: they compile against the built package, run on this
 * machine and against a server, print what the page says, and leave nothing behind.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openServer, type Server } from "../../runtime/server/server.js";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { CliHome, ROOT } from "../support/cli.js";

const run = promisify(execFile);
const BLOCK = /^(?:<!-- (prelude|native) -->\n)?```ts\n([\s\S]*?)^```$/gm;

interface Program {
  readonly name: string;
  readonly source: string;
  /** Needs processes that outlive their caller. */
  readonly native: boolean;
  /** What it prints, in order, as the page marks it. */
  readonly printed: readonly string[];
}

/** The programs of a page that import this package. */
function programsOf(file: string): Program[] {
  const page = readFileSync(join(ROOT, file), "utf8");
  const blocks = [...page.matchAll(BLOCK)].map((match) => ({
    kind: match[1],
    text: match[2] ?? "",
    line: page.slice(0, match.index).split("\n").length,
  }));
  const prelude = blocks.find(({ kind }) => kind === "prelude")?.text ?? "";
  return blocks
    .filter(({ kind }) => kind !== "prelude")
    .map(({ kind, text, line }) => ({
      name: `${basename(file, ".md")}-${line}`,
      source: /^import /m.test(text) ? text : `${prelude}\n${text}`,
      native: kind === "native",
      printed: [...text.matchAll(/\/\/ → (.*)$/gm)].map(([, printed = ""]) => printed),
    }))
    .filter(({ source }) => source.includes('"spaces-runtime'));
}

const programs = ["docs/sdk.md", "docs/runs.md", "docs/scripts.md", "README.md"].flatMap(
  programsOf,
);
const portable = programs.filter((program) => !program.native);
const native = programs.filter((program) => program.native);
const bubblewrap = await bubblewrapAvailability();

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "spaces-sdk-docs-"));
  mkdirSync(join(project, "node_modules/@types"), { recursive: true });
  await symlink(ROOT, join(project, "node_modules/spaces-runtime"));
  await symlink(join(ROOT, "node_modules/@types/node"), join(project, "node_modules/@types/node"));
  await writeFile(join(project, "package.json"), '{ "type": "module" }');
  for (const { name, source } of programs) {
    await writeFile(join(project, `${name}.ts`), source);
    const { code } = await transform(source, { loader: "ts", target: "node20.19" });
    await writeFile(join(project, `${name}.js`), code);
  }
});
afterAll(async () => {
  await rm(project, { recursive: true, force: true });
});

describe("the programs of the documents", () => {
  it("are found", () => {
    expect(portable.length).toBeGreaterThan(12);
    expect(native.length).toBeGreaterThan(3);
  });

  it.each([
    { moduleResolution: "nodenext", module: "nodenext" },
    { moduleResolution: "bundler", module: "esnext" },
  ])("compile against the types of the package with $moduleResolution", async (modules) => {
    const config = {
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "esnext.disposable"],
        types: ["node"],
        ...modules,
        strict: true,
        noEmit: true,
        skipLibCheck: true,
      },
      files: programs.map(({ name }) => `${name}.ts`),
    };
    await writeFile(join(project, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const compiled = run(process.execPath, [tsc, "-p", project], { cwd: project });
    await expect(compiled).resolves.toMatchObject({ stdout: "" });
  });
});

describe.each([
  { where: "this machine", driver: "virtual", shown: portable, available: true },
  { where: "this machine", driver: "bubblewrap", shown: programs, available: bubblewrap.usable },
  { where: "a server", driver: "virtual", shown: portable, available: true },
  { where: "a server", driver: "bubblewrap", shown: native, available: bubblewrap.usable },
])("the programs of the documents on $where, $driver", ({ where, driver, shown, available }) => {
  let home: CliHome;
  let server: Server | undefined;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    home = await CliHome.make(driver);
    env = home.env;
    if (where === "this machine") return;
    server = await openServer({ dataDir: join(home.home, "data"), driver, port: 0 });
    const { url, adminToken = "" } = server;
    env = {
      ...env,
      SPACES_HOME: join(home.home, "unused"),
      SPACES_URL: url,
      SPACES_TOKEN: adminToken,
    };
  });
  afterAll(async () => {
    // Nobody took the local engine by mistake.
    expect(existsSync(join(home.home, "unused", "spaces.db"))).toBe(false);
    await server?.[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  it.skipIf(!available).each(shown)("$name prints what it says", async ({ name, printed }) => {
    const { stdout, stderr } = await run(process.execPath, [`${name}.js`], { cwd: project, env });
    expect(stderr).toBe("");
    expect(stdout.split("\n")).toEqual([...printed, ""]);
  });

  it.skipIf(!available)("leave nothing behind", async () => {
    expect(await home.json(["list"])).toEqual({ items: [] });
  });
});
