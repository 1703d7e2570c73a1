/** Completes what is typed into `spaces repl`: its commands, names in scope, members, and spaces. */
import type { InteractiveSession } from "../runtime/interpreter/types.js";
import { REPL_COMMANDS } from "./repl-commands.js";

/** The modules that an input can import. */
const MODULES = [
  ...["spaces", "spaces/async", "space", "files", "files/async"],
  ...["schedules", "schedules/async", "runtime", "yaml"],
];

const NAME = /^[A-Za-z_$][\w$]*$/;

export interface CompletionSources {
  readonly session: () => InteractiveSession;
  /** Names of the spaces that can be named. */
  readonly spaces: () => Promise<readonly string[]>;
}

/**
 * Completes the end of a line.
 *
 * @returns the words that can stand there, and the part of the line that they replace
 */
export async function completeInput(
  line: string,
  { session, spaces }: CompletionSources,
): Promise<[words: string[], replaced: string]> {
  const [, command] = /^\s*\.([A-Za-z]*)$/.exec(line) ?? [];
  if (command !== undefined) {
    return starting(Object.keys(REPL_COMMANDS), command);
  }
  const [, module] = /\b(?:from|import)\s*\(?\s*["']([^"']*)$/.exec(line) ?? [];
  if (module !== undefined) {
    return starting(MODULES, module);
  }
  const [, name] = /[(,]\s*["'`]([a-z0-9-]*)$/.exec(line) ?? [];
  if (name !== undefined) {
    return starting(await spaces(), name);
  }
  if (isInText(line)) return [[], ""];
  const [, path = "", prefix = ""] =
    /(?:^|[^\w$.)\]"'`])((?:[A-Za-z_$][\w$]*\s*\??\.\s*)*)([A-Za-z_$][\w$]*)?$/.exec(line) ?? [];
  if (path === "" && prefix === "") return [[], ""];
  const names = path.split(/\s*\??\.\s*/).slice(0, -1);
  const members = await session().complete(names, prefix);
  return starting(
    members.filter((member) => NAME.test(member)),
    prefix,
  );
}

function starting(words: readonly string[], prefix: string): [string[], string] {
  const fitting = new Set(words.filter((word) => word.startsWith(prefix)));
  return [[...fitting].sort(), prefix];
}

/** Whether the end of the line lies inside of quotes. */
function isInText(line: string): boolean {
  let quote: string | undefined;
  for (let index = 0; index < line.length; index += 1) {
    const character = line[index] ?? "";
    if (character === "\\") index += 1;
    else if (quote === character) quote = undefined;
    else if (quote === undefined && /["'`]/.test(character)) quote = character;
  }
  return quote !== undefined;
}
