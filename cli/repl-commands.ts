/** The commands of `spaces repl` that begin with a dot; `repl-session.ts` runs them. */

/** The commands and what they do. */
export const REPL_COMMANDS = {
  clear: "Forget all that was declared: begin anew in a fresh sandbox",
  editor: "Write several lines, and evaluate them with Ctrl-D",
  exit: "Leave; so does Ctrl-D",
  help: "Show this",
  load: "Evaluate a file: .load <file>",
  save: "Write what was evaluated into a file: .save <file>",
} as const;

export type ReplCommandName = keyof typeof REPL_COMMANDS;

export interface ReplCommand {
  readonly name: string;
  /** What stands behind the name. */
  readonly rest: string;
}

/** Reads a line as a command; undefined where it is none. */
export function parseReplCommand(line: string): ReplCommand | undefined {
  const [, name, rest = ""] = /^\s*\.([A-Za-z]+)(?:\s+(.*?))?\s*$/.exec(line) ?? [];
  return name === undefined ? undefined : { name, rest };
}

export function isReplCommand(name: string): name is ReplCommandName {
  return Object.hasOwn(REPL_COMMANDS, name);
}

/** What `.help` shows. */
export function replHelp(): string {
  const lines = Object.entries(REPL_COMMANDS).map(([name, what]) => `.${name.padEnd(8)} ${what}\n`);
  return `${lines.join("")}\nCtrl-C cancels what runs. _ is the last value, _error the last error.\n`;
}
