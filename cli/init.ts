/** `spaces init`: writes a starter script, and a `tsconfig.json` that lets editors know the modules. */
import { existsSync, mkdirSync, realpathSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { artifactUrl } from "../runtime/artifacts.js";
import { SpacesError } from "../runtime/contract/errors.js";
import { examples } from "./help.js";
import type { Session } from "./session.js";

const STARTER = `// Run me: spaces run hello.ts [name]
import { args } from "runtime";
import * as spaces from "spaces";

const name = args[0] ?? "hello";

spaces.create(name, "default", { description: "made by hello.ts" });
try {
  spaces.start(name);
  console.log(spaces.run(name, "echo", { args: ["hello from", name] }).trim());
} finally {
  spaces.delete(name, { force: true });
}
`;

export function defineInit(program: Command, session: Session): void {
  const command = program
    .command("init")
    .summary("write a starter script")
    .description(
      "Write hello.ts, a script to start from, and a tsconfig.json with which editors complete it.",
    )
    .argument("[directory]", "where to write them; made where it is missing", ".")
    .option("-f, --force", "overwrite files that exist")
    .action((directory: string, { force = false }: { force?: boolean }) => {
      const written = init(directory, force);
      session.output.note(
        `Wrote ${written.join(" and ")}. Run it: spaces run ${join(directory, "hello.ts")}`,
      );
      if (session.output.isJson) session.output.json({ directory: resolve(directory), written });
    });
  examples(command, "init", "init automation");
}

/**
 * Writes the starter files.
 * @returns the paths of the files; `CONFLICT` when one exists and `force` is not given (then nothing
 *   is written), `INVALID_INPUT` when the directory cannot be written
 */
export function init(directory: string, force: boolean): string[] {
  const script = join(directory, "hello.ts");
  const config = join(directory, "tsconfig.json");
  const existing = force ? undefined : [script, config].find((file) => existsSync(file));
  if (existing !== undefined) {
    throw new SpacesError("CONFLICT", `${existing} exists already.`, {
      suggestion: "Choose another directory, or overwrite with --force.",
    });
  }
  try {
    mkdirSync(directory, { recursive: true });
    writeFileSync(script, STARTER);
    writeFileSync(config, `${JSON.stringify(tsconfig(typesPath(directory)), undefined, 2)}\n`);
  } catch (cause) {
    throw new SpacesError("INVALID_INPUT", `${directory}: ${(cause as Error).message}.`, {
      suggestion: "Name a directory that can be written.",
      cause,
    });
  }
  return [script, config];
}

/** Where the declarations are: relative where the package is installed below the directory. */
function typesPath(directory: string): string {
  const types = fileURLToPath(artifactUrl("stdlib-types/index.d.ts"));
  const below = relative(realpathSync(directory), types);
  if (below.startsWith("..") || isAbsolute(below)) return types.split(sep).join("/");
  return `./${below.split(sep).join("/")}`;
}

function tsconfig(types: string): unknown {
  return {
    compilerOptions: {
      target: "es2024",
      lib: ["es2024"],
      module: "esnext",
      moduleResolution: "bundler",
      types: [types],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      erasableSyntaxOnly: true,
      verbatimModuleSyntax: true,
    },
    include: ["**/*.ts"],
  };
}
