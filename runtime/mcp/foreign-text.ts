/**
 * Keeps text that spaces did not write itself apart from what it says: the output of commands and
 * scripts, files, and what users have written. A model must be able to tell data from instructions.
 */
import { randomBytes } from "node:crypto";
import { stripVTControlCharacters } from "node:util";

/** The key under which structured results carry such text. */
export const FOREIGN_KEY = "untrusted";

export interface ForeignText {
  /** What it is, in our own words, such as `output of the command`. */
  readonly what: string;
  readonly text: string;
}

/**
 * Control characters, marks that reorder text, and the invisible copies of ASCII: they hide from
 * people what a model reads. Line breaks and tabs stay.
 */
const INVISIBLE =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;

/** Shows what is invisible as escapes, without the colours of terminals. */
export function visibleText(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll("\r\n", "\n")
    .replace(INVISIBLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** As `visibleText`, on one line and bounded: for names and descriptions within our own sentences. */
export function visibleLine(text: string, most: number): string {
  const line = visibleText(text).replace(/\s+/g, " ").trim();
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`;
}

/**
 * The text between two marks that it cannot forge: each has a number of its own.
 */
export function marked({ what, text }: ForeignText): string {
  const tag = `untrusted-${randomBytes(6).toString("hex")}`;
  const body = visibleText(text);
  return `<${tag} is="${what}">\n${body}${body === "" || body.endsWith("\n") ? "" : "\n"}</${tag}>`;
}
