/** Cold processes: what a user waits for at a terminal, beside a bare `node`. */
import { spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { interleave, row } from "./harness.mjs";

export async function measure({ stage, quick }) {
  const directory = join(stage.temp, "cold");
  const js = join(directory, "hello.js");
  const ts = join(directory, "hello.ts");
  const emptyCache = join(directory, "empty-cache");
  await mkdir(directory, { recursive: true });
  await writeFile(js, 'console.log("hello");\n');
  await writeFile(ts, 'const word: string = "hello";\nconsole.log(word);\n');
  const env = {
    ...process.env,
    SPACES_HOME: join(directory, "home"),
    XDG_CACHE_HOME: join(directory, "cache"),
    NO_COLOR: "1",
  };

  const spaces = (args, more = {}) => wallMs([stage.cli, ...args], { ...env, ...more });
  const summaries = await interleave(
    {
      node: () => wallMs([js], env),
      js: () => spaces(["run", js]),
      ts: () => spaces(["run", ts]),
      tsUncached: async () => {
        await rm(emptyCache, { recursive: true, force: true });
        return spaces(["run", ts], { XDG_CACHE_HOME: emptyCache });
      },
      version: () => spaces(["version"]),
    },
    { rounds: quick ? 5 : 30, warmup: 2 },
  );

  const peer = { name: "node hello.js", value: summaries.node.p50 };
  const cold = (what, name, budget) =>
    row({
      what,
      unit: "ms",
      ours: summaries[name].p50,
      peer,
      budget,
      samples: { ours: summaries[name], peer: summaries.node },
    });
  return [
    cold("`spaces run hello.js`, cold process, p50", "js", { timesPeer: 2.5 }),
    cold("`spaces run hello.ts`, stripped before, p50", "ts"),
    cold("`spaces run hello.ts`, nothing cached, p50", "tsUncached"),
    cold("`spaces version`, p50", "version"),
  ];
}

function wallMs(args, env) {
  const start = performance.now();
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: "utf8" });
  const took = performance.now() - start;
  if (status !== 0) throw new Error(`node ${args.join(" ")} ended with ${status}: ${stderr}`);
  return took;
}
