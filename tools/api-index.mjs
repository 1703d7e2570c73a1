/**
 * Makes the index of what scripts can call, which the MCP tools `search` and `describe` answer from: every
 * declaration of `stdlib/types/` with its documentation, and the shipped scripts as examples. The
 * build calls `writeApiIndex`.
 */
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { parse } from "yaml";

const types = new URL("../stdlib/types/", import.meta.url);
const scripts = new URL("../scripts/", import.meta.url);

/** What the globals of scripts are filed under. */
const GLOBALS = "globals";

/** The text of a comment, without its marks. */
const plain = (comment) =>
  comment
    .replace(/^\s*\/\*\*+|\*\/\s*$/g, "")
    .split("\n")
    .map((line) => line.replace(/^\s*\* ?/, ""))
    .join("\n")
    .trim();

/** The first sentence, on one line. */
const summaryOf = (comment) => {
  const [paragraph = ""] = plain(comment).split(/\n\s*\n|\n@/);
  // A very short sentence says little without the one behind it.
  return /^[\s\S]{10,}?[.!?](?=\s|$)|^[\s\S]*$/.exec(paragraph)[0].replace(/\s+/g, " ").trim();
};

const HEAD = /^(?:export |declare )*(function|interface|const|var|type) (\w+)/;

/**
 * The declarations of a text that a formatter has laid out: a statement ends with the line on which
 * all of its brackets are closed.
 */
function* statementsOf(lines) {
  let comment = [];
  let inComment = false;
  let statement;
  let depth = 0;
  for (const line of lines) {
    const text = line.trim();
    if (statement === undefined && (inComment || text.startsWith("/**"))) {
      if (!inComment) comment = [];
      comment.push(line);
      inComment = !text.endsWith("*/");
      continue;
    }
    if (statement === undefined) {
      const [, kind, name] = HEAD.exec(text) ?? [];
      if (kind === undefined) {
        if (text !== "") comment = [];
        // Of a statement that is left out, such as an import over several lines.
        depth += bracketsOf(text);
        continue;
      }
      if (depth > 0) continue;
      statement = { kind, name, comment: comment.join("\n"), lines: [] };
    }
    statement.lines.push(line);
    depth += bracketsOf(line);
    if (depth === 0 && /[;}]$/.test(text)) {
      yield statement;
      statement = undefined;
      comment = [];
    }
  }
}

const bracketsOf = (line) => {
  const code = line.replace(/\/\*\*.*?\*\/|\/\/.*$|^\s*\*.*$/g, "");
  return (code.match(/[{[(]/g) ?? []).length - (code.match(/[}\])]/g) ?? []).length;
};

const outdent = (text, by) => text.replace(new RegExp(`^ {${by}}`, "gm"), "");

/** The module that a text declares, and its entries: overloads, and parts of one global, are joined. */
function moduleOf(text) {
  const [whole, comment = "", name] =
    /^(\/\*\*[\s\S]*?\*\/)[\s\S]*?^declare module "([^"]+)" \{$/m.exec(text) ?? [];
  const lines = (whole === undefined ? text : text.slice(text.indexOf(whole) + whole.length)).split(
    "\n",
  );
  if (whole !== undefined) lines.splice(lines.lastIndexOf("}"), 1);
  const module = name ?? GLOBALS;
  const entries = new Map();
  for (const { kind, name, comment, lines: statement } of statementsOf(lines)) {
    const own = statement.join("\n");
    // The default export is the module itself.
    if (module !== GLOBALS && kind === "const" && !/^\s*export /.test(own)) continue;
    const declaration = outdent(
      [...(comment === "" ? [] : [comment]), own].join("\n"),
      whole ? 2 : 0,
    );
    const known = entries.get(name);
    if (known === undefined) {
      entries.set(name, { name, module, kind, summary: summaryOf(comment), declaration });
    } else {
      known.declaration += `\n${declaration}`;
      known.summary ||= summaryOf(comment);
    }
  }
  const head = whole === undefined ? (/^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? "") : comment;
  return { module, summary: plain(head).replace(/\s+/g, " "), entries: [...entries.values()] };
}

/** What a shipped script is for, from its header or the first paragraph of its first comment. */
function purposeOf(source) {
  const header = /^\/\*---\n([\s\S]*?)\n---/.exec(source)?.[1];
  if (header !== undefined) return String(parse(header).description ?? "");
  const comment = /^\/\*\*[\s\S]*?\*\//.exec(source)?.[0] ?? "";
  return plain(comment)
    .split(/\n\s*\n/)[0]
    .replace(/\s+/g, " ");
}

/** The index, as `search` and `describe` read it. */
export async function apiIndex() {
  const modules = [];
  const entries = [];
  for (const file of (await readdir(types)).filter((name) => name.endsWith(".d.ts")).sort()) {
    const text = await readFile(new URL(file, types), "utf8");
    const { module, summary, entries: own } = moduleOf(text);
    // What is made from another module is found through that one.
    const derived = /^\/\/ Made from /m.test(text);
    modules.push({ name: module, summary, derived });
    entries.push(...own.map((entry) => ({ ...entry, ...(derived ? { derived } : {}) })));
  }
  const examples = [];
  for (const file of (await readdir(scripts)).filter((name) => name.endsWith(".ts")).sort()) {
    const source = await readFile(new URL(file, scripts), "utf8");
    examples.push({ name: file.slice(0, -3), summary: purposeOf(source), source });
  }
  return { modules, entries, examples };
}

/** Writes the index. @param {string} directory Where to, as `mcp-api.json`. Made if missing. */
export async function writeApiIndex(directory) {
  await mkdir(directory, { recursive: true });
  await writeFile(`${directory}/mcp-api.json`, JSON.stringify(await apiIndex()));
}
