/**
 * Makes the type declarations of the script modules from the hand-written ones in `stdlib/types/`:
 * the promise form and the bound form of `spaces`, and the camelCase aliases. The build calls
 * `writeTypes`; `node tools/types.mjs` renews the two derived files beside their source.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const source = new URL("../stdlib/types/", import.meta.url);

/** One function with its comment and all its overloads. */
const FUNCTION =
  / {2}\/\*\*\n(?: {3}\*[^\n]*\n)+?(?: {2}export function (\w+)\([\s\S]*?\)(?:: [^;()]+);\n)+/g;
/** One signature: the name, the parameters, the result. */
const SIGNATURE = /export function (\w+)\(([\s\S]*?)\): ([^;()]+);/g;

/** Functions that are not about one existing space, or would end the space under the script. */
const NOT_BOUND = new Set(["list", "create", "remove"]);

const functionsOf = (text) => [...text.matchAll(FUNCTION)];
const interfacesOf = (text) =>
  [...text.matchAll(/export interface (\w+)/g)].map(([, name]) => name).sort();

/** In the form that the formatter gives it. */
const importOf = (types) => {
  const line = `  import type { ${types.join(", ")} } from "spaces";`;
  const lines = types.map((type) => `    ${type},\n`).join("");
  return line.length <= 100 ? line : `  import type {\n${lines}  } from "spaces";`;
};

const head = (comment, module, types) => `/** ${comment} */
// Made from spaces.d.ts by tools/types.mjs; change that file, and run the tool.

declare module "${module}" {
${importOf(types)}
`;

const tail = (name, module) => `
  /** All of the module; a misspelt function is an error that names the right one. */
  const ${name}: Omit<typeof import("${module}"), "default">;
  export default ${name};
}
`;

const used = (body, types) => types.filter((type) => new RegExp(`\\b${type}\\b(?! \`)`).test(body));

/** The declarations of `spaces/async`: each result is a promise. */
export function asyncTypes(text) {
  const body = functionsOf(text)
    .map(([block]) =>
      block
        .replace(SIGNATURE, "export function $1($2): Promise<$3>;")
        .replace(/ spaces\.(\w+)\(([^()]*)\)\./g, " (await spaces.$1($2)).")
        .replace(/(?<!await )\bspaces\.(\w+)\(/g, "await spaces.$1("),
    )
    .join("\n");
  const signatures = body.replace(/\/\*\*[\s\S]*?\*\//g, "");
  return `${head("The module `spaces/async`: the functions of `spaces`, each returning a promise.", "spaces/async", used(signatures, interfacesOf(text)))}
${body}
  export { remove as delete };
${tail("spaces", "spaces/async")}`;
}

/** The declarations of `space`: the functions about one space, without the space's name. */
export function boundTypes(text) {
  const body = functionsOf(text)
    .filter(([, name]) => !NOT_BOUND.has(name))
    .map(([block]) =>
      block
        .replace(SIGNATURE, (_, name, parameters, result) => {
          const rest = parameters.replace(/^\s*(name|space): string,?\s*/, "").trim();
          const list = rest.includes("\n") ? `\n    ${rest}\n  ` : rest;
          return `export function ${name}(${list}): ${result};`;
        })
        .replace(/ {3}\* @param (name|space) [^\n]*\n/g, "")
        .replace(/spaces\.(\w+)\("dev"(?:, )?/g, "space.$1("),
    )
    .join("\n");
  const signatures = body.replace(/\/\*\*[\s\S]*?\*\//g, "");
  return `${head("The module `space`: the space that the script is bound to.", "space", used(signatures, interfacesOf(text)))}
  /**
   * Name of the space; undefined where the script is bound to none. All else throws
   * \`SPACE_NOT_FOUND\` there, \`space.name\` of the default export too.
   *
   * @example
   * console.log(name);
   */
  export const name: string | undefined;

  /** Id of the space; undefined where the script is bound to none. */
  export const id: string | undefined;

${body}
  /** All of the module. */
  const space: Omit<typeof import("space"), "default" | "name" | "id"> & {
    readonly name: string;
    readonly id: string;
  };
  export default space;
}
`;
}

const camelCase = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

/** Adds the camelCase alias after each function whose name has an underscore. */
export function withAliases(text) {
  return text.replace(FUNCTION, (block, name) => {
    const alias = camelCase(name);
    if (alias === name) return block;
    return `${block}\n  /** The same as \`${name}\`. */\n  export const ${alias}: typeof ${name};\n`;
  });
}

/**
 * Writes the declarations for users.
 * @param {string | URL} directory Where to; such as `dist/stdlib-types`. Made if missing.
 */
export async function writeTypes(directory) {
  const target = directory instanceof URL ? fileURLToPath(directory) : directory;
  await mkdir(target, { recursive: true });
  const files = (await readdir(source)).filter((file) => file.endsWith(".d.ts"));
  const references = files.map((file) => `/// <reference path="./${file}" />\n`);
  await writeFile(`${target}/index.d.ts`, references.join(""));
  for (const file of files) {
    const text = await readFile(new URL(file, source), "utf8");
    await writeFile(`${target}/${file}`, withAliases(text));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const spaces = await readFile(new URL("spaces.d.ts", source), "utf8");
  await writeFile(new URL("spaces-async.d.ts", source), asyncTypes(spaces));
  await writeFile(new URL("space.d.ts", source), boundTypes(spaces));
}
