/**
 * Takes values out of a journal that turned out to be secret after they were written. Lines keep
 * their length, so that whoever reads the journal meanwhile stays in step.
 */
import { writeSync } from "node:fs";
import { redactable } from "../redaction.js";
import type { Place } from "./journal-writer.js";
import type { JournalLine, OutLine, RunHeader, StartLine } from "./lines.js";
import { asterisksFor, redactJson } from "./secrets.js";

/** A line and where in the file it is. */
interface Written<L extends JournalLine> {
  readonly place: Place;
  readonly line: L;
}

/** What a stream has in the journal. */
interface WrittenStream {
  lines: Written<OutLine>[];
  /** The text of all lines: a secret may stand across several. */
  text: string;
}

/**
 * The lines of a run's journal in which secrets can stand. They are known here, so that a journal of
 * many calls need not be read again for each secret.
 */
export class WrittenLines {
  #start: Written<StartLine> | undefined;
  readonly #streams: Readonly<Record<OutLine["s"], WrittenStream>> = {
    stdout: { lines: [], text: "" },
    stderr: { lines: [], text: "" },
  };

  /** Notes a line that was written. */
  add(line: JournalLine, place: Place): void {
    if (line.t === "start") this.#start = { line, place };
    if (line.t !== "out") return;
    const stream = this.#streams[line.s];
    stream.lines.push({ line, place });
    stream.text += line.text;
  }

  /**
   * Takes secrets out of the arguments, the input and the output.
   * @param open opens the journal; called where something has to be overwritten
   * @returns the first line as it is now, where it was changed
   */
  scrub(secrets: readonly string[], open: () => JournalFile): StartLine | undefined {
    const hidden = redactable(secrets);
    const { stdout, stderr } = this.#streams;
    const changed: Written<JournalLine>[] = [
      ...scrubOutput(stdout, hidden),
      ...scrubOutput(stderr, hidden),
    ];
    const start = this.#scrubStart(hidden);
    if (start !== undefined) changed.push(start);
    if (changed.length > 0) {
      using file = open();
      for (const { line, place } of changed) overwrite(file.fd, place, line);
    }
    return start?.line;
  }

  #scrubStart(secrets: readonly string[]): Written<StartLine> | undefined {
    if (this.#start === undefined) return undefined;
    const { line, place } = this.#start;
    const run = redactHeader(line.run, secrets);
    if (JSON.stringify(run) === JSON.stringify(line.run)) return undefined;
    this.#start = { place, line: { ...line, altered: 1, run } };
    return this.#start;
  }
}

/** A journal that is open to be changed; disposing closes it. */
interface JournalFile extends Disposable {
  readonly fd: number;
}

/** The header with asterisks in place of secrets in what the run was given. */
export function redactHeader(run: RunHeader, secrets: readonly string[]): RunHeader {
  return {
    ...run,
    args: redactJson(run.args, secrets),
    ...(run.input === undefined ? {} : { input: redactJson(run.input, secrets) }),
  };
}

/** @returns the lines that are not as they were */
function scrubOutput(stream: WrittenStream, secrets: readonly string[]): Written<OutLine>[] {
  const { text: all } = stream;
  const found = secrets.filter((secret) => all.includes(secret));
  if (found.length === 0) return [];
  const isSecret = new Uint8Array(all.length);
  for (const secret of found) {
    for (let at = all.indexOf(secret); at >= 0; at = all.indexOf(secret, at + 1)) {
      isSecret.fill(1, at, at + secret.length);
    }
  }
  const changed: Written<OutLine>[] = [];
  let from = 0;
  stream.lines = stream.lines.map((written) => {
    const { line, place } = written;
    const hidden = isSecret.subarray(from, from + line.text.length);
    from += line.text.length;
    if (!hidden.includes(1)) return written;
    const clean = { place, line: { ...line, text: without(line.text, hidden) } };
    changed.push(clean);
    return clean;
  });
  stream.text = stream.lines.map(({ line }) => line.text).join("");
  return changed;
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
function overwrite(fd: number, { offset, length }: Place, line: JournalLine): void {
  const bytes = Buffer.alloc(length, " ");
  const text = Buffer.from(JSON.stringify(line));
  if (text.length <= bytes.length) text.copy(bytes);
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}
