/** Computes what can stand at the end of an unfinished command line, from the tree of commands. */
import type { Argument, Command, Option } from "commander";
import type { Client } from "../runtime/contract/contract.js";
import { PERMISSIONS } from "../runtime/contract/permissions.js";
import { placeOf } from "./cp.js";
import { shortId } from "./process-ids.js";
import { commandLine, stateOf } from "./processes.js";
import { printable, printableName } from "./text.js";

/** Tells the shell to complete the names of files as well. */
export const FILES = ":files";

const DRIVERS = ["docker", "bubblewrap", "virtual"];

/**
 * Completes the last word of a command line.
 * @param program the whole tree of commands
 * @param words the command line without the program's name; the last may be empty
 * @param client called only where names from the store can stand
 * @returns one candidate a line, with its description behind a tab; `:files` where files fit too
 */
export async function complete(
  program: Command,
  words: readonly string[],
  client: () => Promise<Client>,
): Promise<string[]> {
  const last = words.at(-1) ?? "";
  const place = findPlace(program, words.slice(0, -1));
  const candidates = await candidatesAt(place, last, client);
  return candidates.filter((candidate) => candidate === FILES || candidate.startsWith(last));
}

interface Place {
  readonly command: Command;
  /** The operands that stand before the word. */
  readonly operands: readonly string[];
  /** The option whose value the word is. */
  readonly owner: Option | undefined;
  /** Whether the word stands behind `--`, where options end. */
  readonly literal: boolean;
}

function findPlace(program: Command, words: readonly string[]): Place {
  let command = program;
  const operands: string[] = [];
  let owner: Option | undefined;
  let literal = false;
  for (const word of words) {
    if (owner !== undefined) {
      owner = undefined;
    } else if (word === "--" && !literal) {
      literal = true;
    } else if (word.startsWith("-") && !literal) {
      const option = word.includes("=")
        ? undefined
        : optionsOf(command).find((o) => o.long === word || o.short === word);
      if (option?.required === true) owner = option;
    } else {
      const next = operands.length === 0 ? subcommand(command, word) : undefined;
      if (next === undefined) operands.push(word);
      else command = next;
    }
  }
  return { command, operands, owner, literal };
}

async function candidatesAt(
  { command, operands, owner, literal }: Place,
  last: string,
  client: () => Promise<Client>,
): Promise<string[]> {
  if (owner !== undefined) {
    const name = owner.attributeName();
    if (name === "script") return await runnable(client);
    return owner.argChoices ?? (await named(name, client));
  }
  if (last.startsWith("-") && !literal) {
    return optionsOf(command).map((option) =>
      line(option.long ?? option.short ?? option.flags, option.description),
    );
  }
  const below = command.createHelp().visibleCommands(command);
  if (below.length > 0 && operands.length === 0) {
    return below.map((sub) => line(sub.name(), sub.summary() || sub.description()));
  }
  const argument = argumentAt(command.registeredArguments, operands.length);
  if (argument === undefined) return [];
  if (argument.argChoices !== undefined) return argument.argChoices;
  const [space] = operands;
  if (argument.name() === "process" && space !== undefined) return await processesOf(space, client);
  if (isOneOf(argument, "from", "to") && command.name() === "diff") return [FILES];
  if (isOneOf(argument, "path", "from", "to")) {
    if (command.name() === "cp" && command.parent?.parent === null) {
      return [
        ...(await placesAt(last, client)),
        ...(placeOf(last).space === undefined ? [FILES] : []),
      ];
    }
    if (["archive", "extract"].includes(command.name())) return await placesAt(last, client);
    return space === undefined ? [] : await filesOf(space, last, client);
  }
  const runs = argument.name() === "script" && command.name() === "run";
  const names = runs ? await runnable(client) : await named(argument.name(), client);
  return argument.name() === "script" && takesFiles(command) ? [...names, FILES] : names;
}

/** Whether a command that runs scripts takes files as well as the names of stored ones. */
function takesFiles(command: Command): boolean {
  const group = command.parent;
  if (command.name() === "run") return group?.parent === null;
  return command.name() === "test" && group?.name() === "scripts";
}

/** What an argument or option of this name can be. */
async function named(name: string, client: () => Promise<Client>): Promise<string[]> {
  switch (name) {
    case "space":
    case "source":
    case "remote":
    case "notifySpace": {
      const { items } = await (await client()).spaces.list({ limit: 1000 });
      return items.map((space) => line(space.name, space.status));
    }
    case "template": {
      const { items } = await (await client()).templates.list({});
      return items.map((template) => line(template.name, template.description));
    }
    case "script": {
      const { items } = await (await client()).scripts.list({});
      return items.map((script) => line(script.name, script.description));
    }
    case "schedule": {
      const { items } = await (await client()).schedules.list({});
      return items.map((schedule) => line(schedule.name, schedule.description));
    }
    case "run":
    case "runs": {
      const { items } = await (await client()).runs.list({});
      return items.map(({ id, status, script }) =>
        line(id, `${status} ${script.name ?? script.filename}`),
      );
    }
    case "user": {
      const { items } = await (await client()).users.list({});
      return items.map((user) => line(user.name, user.roles.join(",")));
    }
    case "role":
    case "roles": {
      const { items } = await (await client()).roles.list({});
      return items.map((role) => line(role.name, role.description));
    }
    case "token": {
      const { items } = await (await client()).tokens.list({});
      return items.map((token) => line(token.id, token.name));
    }
    case "scope":
    case "grant":
    case "permissions":
      return Object.entries(PERMISSIONS).map(([name, meaning]) => line(name, meaning));
    case "driver":
      return DRIVERS;
    case "file":
    case "local":
    case "directory":
    case "inputs":
      return [FILES];
    default:
      return [];
  }
}

/** Stored scripts that can be run: libs are only imported. */
async function runnable(client: () => Promise<Client>): Promise<string[]> {
  const { items } = await (await client()).scripts.list({});
  return items.flatMap(({ name, description, kind }) =>
    kind === "lib" ? [] : [line(name, description)],
  );
}

async function processesOf(space: string, client: () => Promise<Client>): Promise<string[]> {
  const { items } = await (await client()).processes.list({ space });
  return items.map((process) =>
    line(shortId(process.id), `${stateOf(process)} ${commandLine(process.argv)}`),
  );
}

/** Files of a space that begin with what is there of a path. */
async function filesOf(
  space: string,
  path: string,
  client: () => Promise<Client>,
): Promise<string[]> {
  const directory = path.slice(0, path.lastIndexOf("/") + 1);
  const query = { space, path: directory === "" ? undefined : directory, limit: 1000 };
  const { items } = await (await client()).files.list(query);
  return items.flatMap(({ name, type }) =>
    // The shell could not take a name with line breaks for one candidate.
    printableName(name) === name ? [`${directory}${name}${type === "directory" ? "/" : ""}`] : [],
  );
}

/** What one side of `spaces cp` can be: a file of this machine, or of a space. */
async function placesAt(last: string, client: () => Promise<Client>): Promise<string[]> {
  const { space, path } = placeOf(last);
  if (space !== undefined) {
    return (await filesOf(space, path, client)).map((file) => `${space}:${file}`);
  }
  const { items } = await (await client()).spaces.list({ limit: 1000 });
  return items.map(({ name, status }) => line(`${name}:`, status));
}

function isOneOf(argument: Argument, ...names: readonly string[]): boolean {
  return names.includes(argument.name());
}

function optionsOf(command: Command): Option[] {
  const help = command.createHelp();
  help.showGlobalOptions = true;
  return [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
}

function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find((sub) => sub.name() === word || sub.aliases().includes(word));
}

/** The argument that an operand belongs to; the last one may take all that follow. */
function argumentAt(registered: readonly Argument[], index: number): Argument | undefined {
  const last = registered.at(-1);
  return registered[index] ?? (last?.variadic === true ? last : undefined);
}

function line(value: string, description: string): string {
  const text = printable(description);
  return text === "" ? value : `${value}\t${text}`;
}
