/**
 * Prepares what is measured: a copy of the built `dist/`, so that a build meanwhile changes nothing,
 * and beside it the parts of the sources that `dist/` does not export. Called by `main.mjs`.
 */
import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @returns the paths and imports of this run; `remove` takes all of it away.
 */
export async function prepareStage() {
  // Under node_modules, where the bundles' own imports are found.
  const cache = join(ROOT, "node_modules/.cache");
  await mkdir(cache, { recursive: true });
  const root = await mkdtemp(join(cache, "spaces-bench-"));
  const temp = await mkdtemp(join(tmpdir(), "spaces-bench-"));
  const dist = join(root, "dist");
  await cp(join(ROOT, "dist"), dist, { recursive: true });
  await cp(join(ROOT, "package.json"), join(root, "package.json"));
  await build({
    absWorkingDir: ROOT,
    bundle: true,
    platform: "node",
    target: "node20.19",
    format: "esm",
    packages: "external",
    splitting: true,
    logLevel: "warning",
    outdir: dist,
    chunkNames: "chunks/bench-[hash]",
    entryPoints: {
      "bench-interpreter": "runtime/interpreter/interpreter.ts",
      "bench-host-call": "runtime/bindings/host-call.ts",
      "bench-docker-image": "test/support/docker-image.ts",
      "bench-engine-host": "runtime/bindings/in-process.ts",
      "bench-scheduler": "runtime/engine/schedules/scheduler.ts",
      "bench-planner": "runtime/engine/schedules/planner.ts",
      "bench-open-jobs": "runtime/engine/schedules/open-jobs.ts",
    },
  });
  return {
    dist,
    /** Path of the command line. */
    cli: join(dist, "cli.js"),
    /** An empty directory for this run. */
    temp,
    load: (name) => loadFrom(dist, name),
    async remove() {
      await rm(root, { recursive: true, force: true });
      await rm(temp, { recursive: true, force: true });
    },
  };
}

/**
 * Imports a built file, such as `index` or `bench-interpreter`.
 * @param {string} dist the stage's `dist`; child processes get it as an argument
 */
export function loadFrom(dist, name) {
  return import(pathToFileURL(join(dist, `${name}.js`)).href);
}
