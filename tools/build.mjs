/**
 * Builds `dist/`: the CLI and the library as bundles with shared chunks, one file for each worker
 * thread, and the text of the modules that scripts import.
 */
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { cp, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { writeApiIndex } from "./api-index.mjs";
import { fitEngine } from "./engine-wasm.mjs";
import { writeTypes } from "./types.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = `${root}dist`;
/** Built aside and swapped in at the end, so that what runs meanwhile never sees half of it. */
const out = `${root}node_modules/.build-${process.pid}`;

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

/** Settings of what runs inside of QuickJS. */
const guest = {
  ...node,
  platform: "neutral",
  target: "es2022",
  minify: true,
  keepNames: false,
};

/** One entry for each file of a folder, by its name without the ending. */
const entriesOf = (folder) =>
  existsSync(`${root}/${folder}`)
    ? Object.fromEntries(
        readdirSync(`${root}/${folder}`)
          .filter((file) => file.endsWith(".ts") && !/\.(test|d)\.ts$/.test(file))
          .map((file) => [file.slice(0, -3), `${folder}/${file}`]),
      )
    : {};

/** What bundled CommonJS needs within a module. */
const REQUIRE =
  'import { createRequire as requireFrom } from "node:module"; const require = requireFrom(import.meta.url);';

/** Packages that stay outside of the bundles: native ones, those with files of their own, large ones. */
const EXTERNAL = [
  "@swc/wasm-typescript",
  "dockerode",
  "just-bash",
  "libsql",
  "pino",
  "prom-client",
  "quickjs-emscripten-core",
  "ws",
];

/**
 * Leaves out what the MCP library would check the answers of clients with: they are asked nothing, and it
 * is larger than the rest of the library.
 */
const withoutAjv = {
  name: "without-ajv",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /\/ajv-provider\.js$/ }, () => ({ path: "ajv", namespace: "empty" }));
    onLoad({ filter: /^ajv$/, namespace: "empty" }, () => ({
      contents: "export class AjvJsonSchemaValidator {}",
    }));
  },
};

/** The types of what programs import. */
async function declarations() {
  const tsc = createRequire(import.meta.url).resolve("typescript/package.json");
  await promisify(execFile)(process.execPath, [
    join(dirname(tsc), "bin", "tsc"),
    ...["-p", `${root}tsconfig.build.json`, "--outDir", `${out}/types`],
  ]);
}

/**
 * The engine's WebAssembly. An instance begins with 6 MiB in place of 16: its data and its stack end
 * at 5.1 MiB, it grows as it needs more, and V8 collects garbage by how much memory instances hold.
 */
async function buildEngine() {
  const wasm = createRequire(import.meta.url).resolve("@jitl/quickjs-wasmfile-release-sync/wasm");
  await mkdir(out, { recursive: true });
  const fitted = fitEngine(await readFile(wasm), { tableName: "table", initialPages: 96 });
  await writeFile(`${out}/quickjs.wasm`, fitted);
}

await Promise.all([
  build({
    ...node,
    entryPoints: {
      cli: "cli/main.ts",
      index: "runtime/index.ts",
      server: "runtime/server/server.ts",
      testing: "runtime/testing.ts",
    },
    outdir: out,
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
    // Looking up the many files of a package costs more at start than all of its code.
    packages: "bundle",
    external: EXTERNAL,
    plugins: [withoutAjv],
    banner: { js: REQUIRE },
  }),
  declarations(),
  writeTypes(`${out}/stdlib-types`),
  writeApiIndex(out),
  // Workers are files of their own: they start faster without shared chunks.
  build({
    ...node,
    entryPoints: { "virtual-worker": "runtime/drivers/virtual/worker.ts" },
    outdir: out,
  }),
  // The engine's glue is part of the bundle: looking up packages would double the start-up time.
  build({
    ...node,
    packages: "bundle",
    minifySyntax: true,
    // A thread is ready sooner when it needs no loader of ES modules.
    format: "cjs",
    define: { "import.meta.url": "moduleUrl" },
    banner: { js: 'const moduleUrl = require("node:url").pathToFileURL(__filename).href;' },
    entryPoints: { "interpreter-worker": "runtime/interpreter/worker/main.ts" },
    outdir: out,
    outExtension: { ".js": ".cjs" },
  }),
  buildEngine(),
  cp(`${root}runtime/relay/bin`, `${out}/relay`, { recursive: true }),
  cp(`${root}runtime/guest/bin`, `${out}/guest`, { recursive: true }),
  // What runs inside of QuickJS: the eager prelude and one file a module.
  build({
    ...guest,
    entryPoints: {
      prelude: "stdlib/prelude/main.ts",
      spaces: "stdlib/spaces.ts",
      "spaces-async": "stdlib/spaces-async.ts",
      space: "stdlib/space.ts",
      files: "stdlib/files.ts",
      "files-async": "stdlib/files-async.ts",
      schedules: "stdlib/schedules.ts",
      "schedules-async": "stdlib/schedules-async.ts",
      runtime: "stdlib/runtime.ts",
      session: "stdlib/session.ts",
      yaml: "stdlib/yaml.ts",
    },
    outdir: `${out}/stdlib`,
    // A module has to be the same one for all who import it.
    external: [
      ...["spaces:host", "spaces:entry"],
      ...["spaces", "space", "files", "schedules", "runtime", "yaml"],
    ],
  }),
  // Parts of the prelude that are evaluated on first use: scripts whose value is the module.
  build({
    ...guest,
    entryPoints: entriesOf("stdlib/prelude/lazy"),
    outdir: `${out}/stdlib/lazy`,
    format: "iife",
    globalName: "lazy",
    banner: { js: "(()=>{" },
    footer: { js: "return lazy.default})()" },
  }),
]).catch(async (error) => {
  await rm(out, { recursive: true, force: true });
  throw error;
});

const old = `${out}-old`;
await rename(dist, old).catch((error) => {
  if (error.code !== "ENOENT") {
    throw error;
  }
});
await rename(out, dist);
await rm(old, { recursive: true, force: true });
