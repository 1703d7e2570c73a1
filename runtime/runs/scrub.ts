/**
 * Takes values out of a journal that turned out to be secret after they were written. Lines keep
 * their length, so that whoever reads the journal meanwhile stays in step.
 */
import { closeSync, readFileSync, writeSync } from "node:fs";
import { redactable } from "../redaction.js";
import type { JournalLine, OutLine, RunHeader, StartLine } from "./lines.js";
import { asterisksFor, redactJson } from "./secrets.js";

const NEWLINE = 0x0a;
const STREAMS = ["stdout", "stderr"] as const;

/** A line and where in the file it is. */
interface Written<L extends JournalLine> {
  readonly offset: number;
  readonly length: number;
  readonly line: L;
}

/**
 * Overwrites secrets in the journal of a run, in its arguments, its input and its output.
 * @param fd to read and write it with; closed afterwards
 * @returns the first line as it is now, where it was changed
 */
export function scrub(fd: number, secrets: readonly string[]): StartLine | undefined {
  try {
    const hidden = redactable(secrets);
    const lines = linesOf(readFileSync(fd));
    const outs = lines.filter((written): written is Written<OutLine> => written.line.t === "out");
    for (const stream of STREAMS) {
      scrubOutput(
        fd,
        outs.filter(({ line }) => line.s === stream),
        hidden,
      );
    }
    const start = lines.find(
      (written): written is Written<StartLine> => written.line.t === "start",
    );
    if (start === undefined) return undefined;
    const run = redactHeader(start.line.run, hidden);
    if (JSON.stringify(run) === JSON.stringify(start.line.run)) return undefined;
    const changed: StartLine = { ...start.line, altered: 1, run };
    overwrite(fd, start, changed);
    return changed;
  } finally {
    closeSync(fd);
  }
}

/** The header with asterisks in place of secrets in what the run was given. */
export function redactHeader(run: RunHeader, secrets: readonly string[]): RunHeader {
  return {
    ...run,
    args: redactJson(run.args, secrets),
    ...(run.input === undefined ? {} : { input: redactJson(run.input, secrets) }),
  };
}

/** A secret may stand across several pieces of the output. */
function scrubOutput(
  fd: number,
  pieces: readonly Written<OutLine>[],
  secrets: readonly string[],
): void {
  const all = pieces.map(({ line }) => line.text).join("");
  const isSecret = new Uint8Array(all.length);
  for (const secret of secrets) {
    for (let at = all.indexOf(secret); at >= 0; at = all.indexOf(secret, at + 1)) {
      isSecret.fill(1, at, at + secret.length);
    }
  }
  let from = 0;
  for (const piece of pieces) {
    const { text } = piece.line;
    const hidden = isSecret.subarray(from, from + text.length);
    from += text.length;
    if (hidden.includes(1)) overwrite(fd, piece, { ...piece.line, text: without(text, hidden) });
  }
}

/** The text with asterisks where it is hidden, as many as its hidden parts have bytes in JSON. */
function without(text: string, hidden: Uint8Array): string {
  let shown = "";
  for (let at = 0; at < text.length; ) {
    let end = at + 1;
    while (end < text.length && hidden[end] === hidden[at]) end += 1;
    const part = text.slice(at, end);
    shown += hidden[at] === 1 ? asterisksFor(part) : part;
    at = end;
  }
  return shown;
}

/** A line that came out shorter is filled up with spaces, one that did not fit is emptied. */
function overwrite(fd: number, place: Written<JournalLine>, line: JournalLine): void {
  const bytes = Buffer.alloc(place.length, " ");
  const text = Buffer.from(JSON.stringify(line));
  if (text.length <= bytes.length) text.copy(bytes);
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, place.offset + done);
  }
}

/** The lines of a journal that this process wrote; what is torn is left out. */
function linesOf(bytes: Buffer): Written<JournalLine>[] {
  const lines: Written<JournalLine>[] = [];
  let offset = 0;
  for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, offset)) {
    try {
      const line = JSON.parse(bytes.toString("utf8", offset, end)) as JournalLine;
      lines.push({ offset, length: end - offset, line });
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    offset = end + 1;
  }
  return lines;
}
