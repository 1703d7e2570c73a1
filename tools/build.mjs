/**
 * Builds `dist/`: the CLI and the library as bundles with shared chunks, one file for each worker
 * thread, and the text of the modules that scripts import.
 */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

const node = {
  bundle: true,
  platform: "node",
  target: "node20.19",
  format: "esm",
  packages: "external",
  sourcemap: false,
  logLevel: "warning",
  absWorkingDir: root,
};

/** Only what exists: the rooms of the house are built one after the other. */
const present = (entries) =>
  Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(`${root}/${file}`)));

await rm(`${root}/dist`, { recursive: true, force: true });

await Promise.all([
  build({
    ...node,
    entryPoints: present({ cli: "cli/main.ts", index: "runtime/index.ts" }),
    outdir: "dist",
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
  }),
  // Workers are files of their own: they start faster without shared chunks.
  build({
    ...node,
    entryPoints: present({
      "interpreter-worker": "runtime/interpreter/worker/main.ts",
      "virtual-worker": "runtime/drivers/virtual/worker.ts",
    }),
    outdir: "dist",
  }),
  // What runs inside of QuickJS: the eager prelude and one file a module.
  build({
    ...node,
    platform: "neutral",
    target: "es2022",
    minify: true,
    keepNames: false,
    entryPoints: present({
      prelude: "stdlib/prelude/main.ts",
      spaces: "stdlib/spaces.ts",
      "spaces-async": "stdlib/spaces-async.ts",
      space: "stdlib/space.ts",
      runtime: "stdlib/runtime.ts",
      yaml: "stdlib/yaml.ts",
    }),
    outdir: "dist/stdlib",
    external: ["spaces:host"],
  }),
]);
