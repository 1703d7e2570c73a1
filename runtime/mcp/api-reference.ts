/**
 * What scripts can call, as TypeScript declarations that are found by words. The build makes the index
 * from the types of the standard library; the tools `search` and `describe` answer from it.
 */
import { readFile } from "node:fs/promises";
import { artifactUrl } from "../artifacts.js";

interface Entry {
  readonly name: string;
  readonly module: string;
  readonly kind: string;
  readonly summary: string;
  /** With its documentation. */
  readonly declaration: string;
  /** Belongs to a module that is made from another, where it is found too. */
  readonly derived?: boolean;
}

interface Module {
  readonly name: string;
  readonly summary: string;
  readonly derived: boolean;
}

interface Example {
  readonly name: string;
  readonly summary: string;
  readonly source: string;
}

interface Index {
  readonly modules: readonly Module[];
  readonly entries: readonly Entry[];
  readonly examples: readonly Example[];
}

export interface Match {
  /** What `describe` takes, such as `spaces.run`. */
  readonly name: string;
  readonly kind: string;
  readonly summary: string;
}

/** How much a word counts by where it is found. */
const WEIGHT = { name: 8, partOfName: 5, module: 3, summary: 2, documentation: 1 };

/** Functions are looked for more often than the types that they take. */
const LIKING: Readonly<Record<string, number>> = { function: 1.5, interface: 0.7 };
/** What fits far worse than the best is left out. */
const LEAST_OF_BEST = 0.1;

/** Words that say nothing about what is looked for. */
const EMPTY = new Set(
  "a an and as at by can do does for from get how i in into is it its me my of on one or that the this to use what with".split(
    " ",
  ),
);

let loaded: Promise<ApiReference> | undefined;

export class ApiReference {
  readonly #index: Index;
  readonly #texts: readonly Texts[];

  private constructor(index: Index) {
    this.#index = index;
    this.#texts = textsOf(index);
  }

  /** Reads the index that the build made, once. */
  static load(): Promise<ApiReference> {
    loaded ??= readFile(artifactUrl("mcp-api.json"), "utf8").then(
      (text) => new ApiReference(JSON.parse(text) as Index),
    );
    return loaded;
  }

  /** The modules that scripts can import, and what each is for. */
  get modules(): readonly Module[] {
    return this.#index.modules;
  }

  /**
   * Finds functions, types and examples by words.
   * @param most how many are given, the best first
   */
  search(query: string, most: number): Match[] {
    const words = [...new Set(wordsOf(query))].filter((word) => !EMPTY.has(word));
    const found = this.#texts
      .map((texts) => ({ texts, weights: words.map((word) => weightOf(word, texts)) }))
      .filter(({ weights }) => weights.some((weight) => weight > 0));
    // A word that is found nearly everywhere says little.
    const rarity = words.map((_, at) => {
      const count = found.filter(({ weights }) => (weights[at] ?? 0) > 0).length;
      return Math.log(1 + this.#texts.length / Math.max(1, count));
    });
    const scored = found
      .map(({ texts, weights }) => {
        const score = weights.reduce((sum, weight, at) => sum + weight * (rarity[at] ?? 0), 0);
        // What has all of the words goes before what has one of them often.
        const hits = weights.filter((weight) => weight > 0).length;
        return { match: texts.match, score: score * hits * (LIKING[texts.match.kind] ?? 1) };
      })
      .sort((a, b) => b.score - a.score);
    const least = (scored[0]?.score ?? 0) * LEAST_OF_BEST;
    return scored
      .filter(({ score }) => score >= least)
      .slice(0, most)
      .map(({ match }) => match);
  }

  /**
   * Declarations by name: a function or type (`run`, `spaces.run`), a module (`files`), or an example
   * (`example.quickstart`).
   * @returns the text in TypeScript; undefined where there is nothing of this name
   */
  describe(name: string): string | undefined {
    const { modules, entries, examples } = this.#index;
    const example = examples.find((each) => `example.${each.name}` === name);
    if (example !== undefined) return example.source;
    const module = modules.find((each) => each.name === name);
    if (module !== undefined) return this.#describeModule(module);
    const found = entries.filter(
      (entry) => `${entry.module}.${entry.name}` === name || entry.name === name,
    );
    const original = found.filter(({ derived }) => derived !== true);
    const shown = original.length > 0 ? original : found;
    if (shown.length === 0) return undefined;
    return shown.map((entry) => this.#describeEntry(entry)).join("\n\n");
  }

  #describeModule({ name, summary }: Module): string {
    const lines = this.#index.entries
      .filter(({ module }) => module === name)
      .map((entry) => `${signatureOf(entry)}${entry.summary === "" ? "" : ` // ${entry.summary}`}`);
    return [`// ${summary}`, ...lines].join("\n");
  }

  /** The entry, and the types of its module that it names. */
  #describeEntry(entry: Entry): string {
    const used = this.#index.entries.filter(
      (other) =>
        other !== entry &&
        (other.kind === "interface" || other.kind === "type") &&
        (other.module === entry.module || entry.derived === true) &&
        entry.kind === "function" &&
        new RegExp(`\\b${other.name}\\b`).test(codeOf(entry)),
    );
    return [
      `// ${entry.module === "globals" ? "global" : `from "${entry.module}"`}`,
      entry.declaration,
      ...new Set(used.map(({ declaration }) => declaration)),
    ].join("\n");
  }
}

const matchOf = ({ module, name, kind, summary }: Entry): Match => ({
  name: `${module}.${name}`,
  kind,
  summary,
});

/** The declaration without its comments. */
const codeOf = ({ declaration }: Entry): string =>
  declaration.replace(/\/\*\*[\s\S]*?\*\//g, "").trim();

/** The declaration on one line; of a type that has members, its head. */
function signatureOf(entry: Entry): string {
  const code = codeOf(entry).replace(/\s+/g, " ");
  return entry.kind === "interface" ? `${code.split("{", 1)[0]}{ … }` : code;
}

/** What is searched of an entry or example. */
interface Texts {
  readonly match: Match;
  /** In lower case. */
  readonly name: string;
  readonly module: string;
  readonly parts: readonly string[];
  readonly summary: readonly string[];
  readonly documentation: readonly string[];
}

function textsOf({ entries, examples }: Index): Texts[] {
  const own = entries.filter(({ derived }) => derived !== true);
  return [
    ...own.map((entry) => ({ ...entry, match: matchOf(entry), text: entry.declaration })),
    ...examples.map(({ name, summary }) => ({
      name,
      summary,
      module: "example",
      text: "",
      match: { name: `example.${name}`, kind: "example", summary },
    })),
  ].map(({ match, name, module, summary, text }) => ({
    match,
    name: name.toLowerCase(),
    module,
    parts: wordsOf(name),
    summary: wordsOf(summary),
    documentation: wordsOf(text.replace(/@\w+/g, "")),
  }));
}

/** How well a word fits; 0 where it is not found. */
function weightOf(word: string, texts: Texts): number {
  const isIn = (words: readonly string[]): boolean => words.some((other) => areAlike(other, word));
  return (
    (word === texts.name ? WEIGHT.name : 0) +
    (isIn(texts.parts) ? WEIGHT.partOfName : 0) +
    (texts.module.startsWith(word) ? WEIGHT.module : 0) +
    (isIn(texts.summary) ? WEIGHT.summary : 0) +
    (isIn(texts.documentation) ? WEIGHT.documentation : 0)
  );
}

/** Whether two words have the same stem, roughly: `forward` and `forwards`, `delete` and `deleting`. */
function areAlike(a: string, b: string): boolean {
  if (a === b) return true;
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  const stem = short.replace(/(ing|ed|es|s|e)$/, "");
  return stem.length >= 3 && long.startsWith(stem) && long.length - stem.length <= 4;
}

/** The words of a text or of a name in snake or camel case. */
function wordsOf(text: string): string[] {
  return (
    text
      .replace(/([a-z])([A-Z])/g, "$1 $2")
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? []
  );
}
