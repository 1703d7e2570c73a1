/**
 * The programs of `docs/sdk.md` are right: they compile against the built package, run on this
 * machine and against a server, print what the page says, and leave nothing behind.
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { transform } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openServer, type Server } from "../../runtime/server/server.js";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { CliHome, ROOT } from "../support/cli.js";

const run = promisify(execFile);
const PAGE = join(ROOT, "docs", "sdk.md");
const BLOCK = /^(?:<!-- (prelude|native) -->\n)?```ts\n([\s\S]*?)^```$/gm;

interface Program {
  readonly name: string;
  readonly source: string;
  /** Needs processes that outlive their caller. */
  readonly native: boolean;
  /** What it prints, in order, as the page marks it. */
  readonly printed: readonly string[];
}

function programsOf(page: string): Program[] {
  const blocks = [...page.matchAll(BLOCK)].map((match) => ({
    kind: match[1],
    text: match[2] ?? "",
    line: page.slice(0, match.index).split("\n").length,
  }));
  const prelude = blocks.find(({ kind }) => kind === "prelude")?.text ?? "";
  return blocks
    .filter(({ kind }) => kind !== "prelude")
    .map(({ kind, text, line }) => ({
      name: `line-${line}`,
      source: /^import /m.test(text) ? text : `${prelude}\n${text}`,
      native: kind === "native",
      printed: [...text.matchAll(/\/\/ → (.*)$/gm)].map(([, printed = ""]) => printed),
    }));
}

const programs = programsOf(readFileSync(PAGE, "utf8"));
const portable = programs.filter(({ native }) => !native);
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

async function expectRuns({ name, printed }: Program, env: NodeJS.ProcessEnv): Promise<void> {
  const { stdout, stderr } = await run(process.execPath, [`${name}.js`], { cwd: project, env });
  expect(stderr).toBe("");
  const lines = stdout.split("\n");
  expect(lines).toEqual([...printed, ""]);
}

/** Runs a program in a home of its own, which must have no spaces afterwards. */
async function expectRunsLocally(program: Program, driver: string): Promise<void> {
  const home = await CliHome.make(driver);
  try {
    await expectRuns(program, home.env);
    expect((await home.json<{ items: unknown[] }>(["list"])).items).toEqual([]);
  } finally {
    await home[Symbol.asyncDispose]();
  }
}

describe("the programs of docs/sdk.md", () => {
  it("are found", () => {
    expect(programs.length).toBeGreaterThan(15);
    expect(programs.filter(({ native }) => native).length).toBeGreaterThan(3);
  });

  it("compile against the types of the package", async () => {
    const config = {
      compilerOptions: {
        target: "es2022",
        lib: ["es2023", "esnext.disposable"],
        types: ["node"],
        module: "nodenext",
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

  it.each(portable)("at $name run in virtual spaces", async (program) => {
    await expectRunsLocally(program, "virtual");
  });

  it.skipIf(!bubblewrap.usable).each(programs)("at $name run in real ones", async (program) => {
    const driver = program.printed.includes("virtual") ? "virtual" : "bubblewrap";
    await expectRunsLocally(program, driver);
  });
});

describe.each([
  { driver: "virtual", served: portable, available: true },
  { driver: "bubblewrap", served: programs, available: bubblewrap.usable },
])("the programs of docs/sdk.md on a server with $driver", ({ driver, served, available }) => {
  let server: Server;
  let home: CliHome;
  beforeAll(async () => {
    home = await CliHome.make(driver);
    server = await openServer({ dataDir: join(home.home, "data"), driver, port: 0 });
  });
  afterAll(async () => {
    await server[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
  });

  it.skipIf(!available).each(served)("at $name run", async (program) => {
    const { url, adminToken = "" } = server;
    const credentials = { SPACES_URL: url, SPACES_TOKEN: adminToken };
    await expectRuns(program, { ...home.env, SPACES_HOME: "/nonexistent", ...credentials });
    expect((await home.json<{ items: unknown[] }>(["list"])).items).toEqual([]);
  });
});
