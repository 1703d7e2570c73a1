/**
 * Makes the type declarations of the script modules from the hand-written ones in `stdlib/types/`:
 * the promise forms of `spaces`, `files` and `schedules`, the bound form of `spaces`, and the camelCase aliases. The
 * build calls `writeTypes`; `node tools/types.mjs` renews the derived files beside their sources.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const source = new URL("../stdlib/types/", import.meta.url);

/** One function with its comment and all its overloads. */
const FUNCTION =
  / {2}\/\*\*\n(?: {3}\*[^\n]*\n)+?(?: {2}export function (\w+)(?:<[^>]*>)?\([\s\S]*?\)(?:: [^;()]+);\n)+/g;
/** One signature: the name, the parameters, the result. */
const SIGNATURE = /export function (\w+(?:<[^>]*>)?)\(([\s\S]*?)\): ([^;()]+);/g;

/** Functions that are not about one existing space, or would end the space under the script. */
const NOT_BOUND = new Set(["list", "create", "remove"]);

const functionsOf = (text) => [...text.matchAll(FUNCTION)];
const interfacesOf = (text) =>
  [...text.matchAll(/export interface (\w+)/g)].map(([, name]) => name).sort();

/** In the form that the formatter gives it. */
const importOf = (types, from) => {
  const line = `  import type { ${types.join(", ")} } from "${from}";`;
  const lines = types.map((type) => `    ${type},\n`).join("");
  return line.length <= 100 ? line : `  import type {\n${lines}  } from "${from}";`;
};

/** A signature in the form that the formatter gives it. */
const inLines = (signature) => {
  if (signature.includes("\n") || signature.length + 2 <= 100) return signature;
  const [, start, parameters, end] = /^([^(]*)\(([^()]*)\)(.*)$/.exec(signature);
  const lines = parameters.split(", ").map((parameter) => `    ${parameter},\n`);
  return `${start}(\n${lines.join("")}  )${end}`;
};

const head = (comment, module, types, from) => `/** ${comment} */
// Made from ${from}.d.ts by tools/types.mjs; change that file, and run the tool.

declare module "${module}" {
${importOf(types, from)}
`;

const tail = (name, module) => `
  /** All of the module; a misspelt function is an error that names the right one. */
  const ${name}: Omit<typeof import("${module}"), "default">;
  export default ${name};
}
`;

const used = (body, types) => types.filter((type) => new RegExp(`\\b${type}\\b(?! \`)`).test(body));

/**
 * The declarations of a module's promise form, such as `spaces/async`: each result is a promise.
 * @param {string} text The declarations of the module that blocks.
 * @param {string} module Its name.
 */
export function asyncTypes(text, module) {
  const call = (pattern) => new RegExp(pattern.replace("MODULE", module), "g");
  const body = functionsOf(text)
    .map(([block]) =>
      block
        .replace(SIGNATURE, (_, name, parameters, result) =>
          inLines(`export function ${name}(${parameters}): Promise<${result}>;`),
        )
        .replace(call(" MODULE\\.(\\w+)\\(([^()]*)\\)\\."), ` (await ${module}.$1($2)).`)
        .replace(call("(?<!await )\\bMODULE\\.(\\w+(?:<[^>]*>)?)\\("), `await ${module}.$1(`),
    )
    .join("\n");
  const signatures = body.replace(/\/\*\*[\s\S]*?\*\//g, "");
  const comment = `The module \`${module}/async\`: the functions of \`${module}\`, each returning a promise.`;
  return `${head(comment, `${module}/async`, used(signatures, interfacesOf(text)), module)}
${body}
  export { remove as delete };
${tail(module, `${module}/async`)}`;
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
  return `${head("The module `space`: the space that the script is bound to.", "space", used(signatures, interfacesOf(text)), "spaces")}
  /** A function of \`files\` without the space, which is the current one. */
  type OnThisSpace<Call> = Call extends (space: string, ...rest: infer Rest) => infer Result
    ? (...rest: Rest) => Result
    : never;
  type FileFunctions = Omit<typeof import("files"), "default">;

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

  /**
   * The functions of the module \`files\`, for the files of the space.
   *
   * @example
   * files.write("notes.txt", "remember\\n");
   */
  export const files: {
    readonly [Name in keyof FileFunctions]: OnThisSpace<FileFunctions[Name]>;
  };

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
  for (const name of ["spaces", "files", "schedules"]) {
    const text = await readFile(new URL(`${name}.d.ts`, source), "utf8");
    await writeFile(new URL(`${name}-async.d.ts`, source), asyncTypes(text, name));
  }
  await writeFile(new URL("space.d.ts", source), boundTypes(spaces));
}
