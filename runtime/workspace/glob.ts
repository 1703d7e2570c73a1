/**
 * Matches paths against patterns in a time that no pattern can blow up: patterns come from callers
 * and names from spaces, and regular expressions made of both can run for years. Used by listings.
 *
 * `*` and `?` stand for characters of one name, `**` for any number of names, `[a-z]` and `[!a-z]`
 * for one of a set, `{a,b}` for either; a backslash takes a character as it is. A name that begins
 * with a dot is matched only where the pattern has the dot.
 */
import { SpacesError } from "../contract/errors.js";

const MOST_ALTERNATIVES = 256;

type Token =
  | { readonly kind: "star" }
  | { readonly kind: "any" }
  | { readonly kind: "char"; readonly char: string }
  | { readonly kind: "set"; readonly negated: boolean; readonly ranges: readonly Range[] };
type Range = readonly [from: string, to: string];

/** A pattern's part for one name, or for any number of them. */
type Part = "globstar" | readonly Token[];

/**
 * Makes a matcher of relative paths.
 * @throws SpacesError `INVALID_INPUT` for a pattern with too many alternatives
 */
export function globMatcher(pattern: string): (path: string) => boolean {
  const alternatives = expand(pattern).map((text) =>
    text
      .replace(/^(?:\.?\/)+/, "")
      .split("/")
      .map(partOf),
  );
  return (path) => {
    const names = path.split("/").map((name) => [...name]);
    return alternatives.some((parts) => matchAll(parts, names, matchesPart, isGlobstar));
  };
}

/** All patterns that a pattern with braces stands for. */
function expand(pattern: string): string[] {
  const done: string[] = [];
  const left = [pattern];
  for (let text = left.pop(); text !== undefined; text = left.pop()) {
    const brace = firstBrace(text);
    if (brace === undefined) {
      done.push(text);
    } else {
      for (const option of brace.options) left.push(brace.before + option + brace.after);
    }
    if (done.length + left.length > MOST_ALTERNATIVES) {
      throw new SpacesError(
        "INVALID_INPUT",
        `The pattern has more than ${MOST_ALTERNATIVES} alternatives.`,
      );
    }
  }
  return done;
}

function firstBrace(text: string) {
  for (let start = 0; start < text.length; start++) {
    if (text[start] === "\\") start++;
    else if (text[start] === "{") {
      const options = optionsAt(text, start);
      if (options !== undefined) return options;
    }
  }
  return undefined;
}

/** The options of a brace; undefined where it is not closed, or has but one. */
function optionsAt(text: string, start: number) {
  const options: string[] = [];
  let depth = 0;
  let from = start + 1;
  for (let at = start; at < text.length; at++) {
    const char = text[at];
    if (char === "\\") at++;
    else if (char === "{") depth++;
    else if (char === "," && depth === 1) {
      options.push(text.slice(from, at));
      from = at + 1;
    } else if (char === "}" && --depth === 0) {
      if (options.length === 0) return undefined;
      options.push(text.slice(from, at));
      return { before: text.slice(0, start), options, after: text.slice(at + 1) };
    }
  }
  return undefined;
}

function partOf(text: string): Part {
  if (text === "**") return "globstar";
  const chars = [...text];
  const tokens: Token[] = [];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? "";
    if (char === "*") {
      if (tokens.at(-1)?.kind !== "star") tokens.push({ kind: "star" });
    } else if (char === "?") {
      tokens.push({ kind: "any" });
    } else if (char === "[") {
      const set = setAt(chars, at);
      tokens.push(set === undefined ? { kind: "char", char } : set.token);
      at = set?.end ?? at;
    } else if (char === "\\" && at + 1 < chars.length) {
      at += 1;
      tokens.push({ kind: "char", char: chars[at] ?? "" });
    } else {
      tokens.push({ kind: "char", char });
    }
  }
  return tokens;
}

function setAt(chars: readonly string[], start: number) {
  const negated = chars[start + 1] === "!" || chars[start + 1] === "^";
  const first = start + (negated ? 2 : 1);
  const ranges: Range[] = [];
  for (let at = first; at < chars.length; at++) {
    const char = chars[at] ?? "";
    if (char === "]" && at > first) {
      const token: Token = { kind: "set", negated, ranges };
      return { token, end: at };
    }
    const to = chars[at + 2];
    if (chars[at + 1] === "-" && to !== undefined && to !== "]") {
      ranges.push([char, to]);
      at += 2;
    } else {
      ranges.push([char, char]);
    }
  }
  return undefined;
}

function isGlobstar(part: Part): boolean {
  return part === "globstar";
}

function matchesPart(part: Part, name: readonly string[]): boolean {
  const isDot = name[0] === ".";
  if (part === "globstar") return !isDot;
  const [first] = part;
  if (isDot && !(first?.kind === "char" && first.char === ".")) return false;
  return matchAll(part, name, matchesChar, (token) => token.kind === "star");
}

function matchesChar(token: Token, char: string): boolean {
  switch (token.kind) {
    case "char":
      return token.char === char;
    case "set":
      return token.ranges.some(([from, to]) => from <= char && char <= to) !== token.negated;
    default:
      return true;
  }
}

/**
 * Matches a list against a pattern with wild parts, each of which takes any number of items. Only
 * the last wild part is ever tried again, so the time is the product of the lengths at most.
 */
function matchAll<P, I>(
  pattern: readonly P[],
  items: readonly I[],
  matches: (part: P, item: I) => boolean,
  isWild: (part: P) => boolean,
): boolean {
  let at = 0;
  let part = 0;
  let wild = -1;
  let resumeAt = 0;
  while (at < items.length) {
    const [now, item] = [pattern[part], items[at]];
    if (now !== undefined && isWild(now)) {
      wild = part++;
      resumeAt = at;
    } else if (now !== undefined && item !== undefined && matches(now, item)) {
      at += 1;
      part += 1;
    } else {
      const [before, taken] = [pattern[wild], items[resumeAt]];
      if (before === undefined || taken === undefined || !matches(before, taken)) return false;
      resumeAt += 1;
      at = resumeAt;
      part = wild + 1;
    }
  }
  return pattern.slice(part).every(isWild);
}
