/*---
description: Updates the packages in running spaces and reports what changed
inputs:
  only: {type: array, items: {type: string}, description: "Names of the spaces to update; all that run where none is given"}
  label: {type: array, items: {type: string}, description: "Only spaces with all of these labels, such as team=web"}
  manager: {type: array, items: {type: string, enum: [apt, apk, dnf, pip, npm]}, description: "Only these package managers; all that a space has where none is given"}
  timeout: {type: number, default: 600, minimum: 1, description: "Seconds that one step may take"}
  dryRun: {type: boolean, default: false, description: "Only list what would be updated"}
  json: {type: boolean, default: false, description: "Report as JSON"}
---*/
/**
 * For apt, apk and dnf, which need root in the space; pip, for its own environments; and npm, for
 * what was installed globally. What fails in one space does not keep the others from being updated;
 * then the exit code is 1.
 *
 *     spaces run scripts/update-packages.ts -- --dry-run
 *     spaces run scripts/update-packages.ts -- --only dev --manager apt
 */
import { exit } from "runtime";
import spaces from "spaces";
import { counted, inputs, printTable, reasonOf, type Selection, selected } from "./report.ts";

const given = inputs({
  manager: [] as string[],
  timeout: 600,
  dryRun: false,
  json: false,
  ...({} as Selection),
});
const { manager: wanted, timeout, dryRun, json } = given;

type Versions = Map<string, string>;

interface Change {
  space: string;
  manager: string;
  package: string;
  old: string;
  new: string;
}

interface Manager {
  /** The program by which a space is known to have it. */
  readonly program: string;
  readonly needsRoot: boolean;
  /** Brings what is known of the packages up to date. */
  readonly refresh?: string;
  /** Prints what is installed. */
  readonly installed: string;
  readonly readInstalled: (output: string) => Versions;
  /** Prints what can be updated, and may end with these codes beside 0. */
  readonly outdated: string;
  readonly outdatedCodes?: readonly number[];
  /** Names and new versions. */
  readonly readOutdated: (output: string) => Versions;
  /** Updates what is outdated. */
  readonly update: (names: readonly string[]) => string;
}

/** Names and versions, one package a line with a tab between. */
const tabbed = (output: string): Versions =>
  new Map(
    output.split("\n").flatMap((line) => {
      const [name, version] = line.split("\t");
      return name !== undefined && version !== undefined ? [[name, version.trim()]] : [];
    }),
  );

/** The names and versions that a pattern finds, line by line. */
const matched =
  (pattern: RegExp) =>
  (output: string): Versions =>
    new Map(
      output.split("\n").flatMap((line) => {
        const [, name, version] = pattern.exec(line) ?? [];
        return name !== undefined && version !== undefined ? [[name, version]] : [];
      }),
    );

const quoted = (names: readonly string[], version = ""): string =>
  names.map((name) => `'${name.replaceAll("'", "'\\''")}${version}'`).join(" ");

const jsonOf = (output: string, empty: string): unknown =>
  JSON.parse(output.trim() === "" ? empty : output);

const MANAGERS: Readonly<Record<string, Manager>> = {
  apt: {
    program: "apt-get",
    needsRoot: true,
    refresh: "apt-get -q -o APT::Update::Error-Mode=any update",
    installed: "dpkg-query -W",
    readInstalled: tabbed,
    outdated: "apt-get -q -s upgrade",
    readOutdated: matched(/^Inst (\S+) \[[^\]]*\] \((\S+)/),
    update: () =>
      "DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Options::=--force-confold upgrade",
  },
  apk: {
    program: "apk",
    needsRoot: true,
    refresh: "apk -q update",
    installed: "apk list -I 2>/dev/null",
    readInstalled: matched(/^(\S+)-([^-\s]+-r\d+) /),
    outdated: "apk -s upgrade",
    readOutdated: matched(/Upgrading (\S+) \(\S+ -> ([^)\s]+)\)/),
    update: () => "apk upgrade",
  },
  dnf: {
    program: "dnf",
    needsRoot: true,
    installed: "rpm -qa --qf '%{NAME}\\t%{VERSION}-%{RELEASE}\\n'",
    readInstalled: tabbed,
    outdated: "dnf -q --refresh check-update",
    outdatedCodes: [100],
    readOutdated: matched(/^(\S+)\.[^.\s]+\s+(?:\d+:)?(\S+)\s+\S+$/),
    update: () => "dnf -q -y upgrade",
  },
  pip: {
    program: "pip3",
    needsRoot: false,
    installed: "pip3 --disable-pip-version-check list --format=json",
    readInstalled: pipVersions("version"),
    outdated: "pip3 --disable-pip-version-check list --outdated --format=json",
    readOutdated: pipVersions("latest_version"),
    update: (names) => `pip3 --disable-pip-version-check install -q -U ${quoted(names)}`,
  },
  npm: {
    program: "npm",
    needsRoot: false,
    installed: "npm ls -g --depth=0 --json",
    readInstalled: npmVersions("dependencies", "version"),
    outdated: "npm outdated -g --json",
    outdatedCodes: [1],
    readOutdated: npmVersions(undefined, "latest"),
    update: (names) => `npm install -g --no-fund --no-audit ${quoted(names, "@latest")}`,
  },
};

function pipVersions(key: "version" | "latest_version"): (output: string) => Versions {
  return (output) => {
    const list = jsonOf(output, "[]") as { name: string; [key: string]: string }[];
    return new Map(list.map((item) => [item.name, item[key] ?? ""]));
  };
}

function npmVersions(within: string | undefined, key: string): (output: string) => Versions {
  return (output) => {
    const all = jsonOf(output, "{}") as Record<string, unknown>;
    const found = (within === undefined ? all : (all[within] ?? {})) as Record<
      string,
      Record<string, string>
    >;
    return new Map(Object.entries(found).map(([name, item]) => [name, item[key] ?? ""]));
  };
}

/** Runs a step in a space. @throws Error with the end of what it printed */
function step(space: string, command: string, codes: readonly number[] = []): string {
  const { exit_code, timed_out, stdout, stderr } = spaces.exec(space, command, {
    timeout,
    env: { LC_ALL: "C" },
  });
  if (timed_out) throw new Error(`"${command}" took longer than ${timeout} seconds.`);
  if (exit_code === 0 || codes.includes(exit_code)) return stdout;
  const last = `${stderr}\n${stdout}`
    .trim()
    .split("\n")
    .filter((line) => /\S/.test(line));
  const told = last.find((line) => /^E:|error/i.test(line)) ?? last.at(-1) ?? "";
  throw new Error(`"${command}" ended with ${exit_code}: ${told}`);
}

/** The package managers that a space has, and that are wanted. */
function managersOf(space: string): string[] {
  const names = Object.keys(MANAGERS).filter(
    (name) => wanted.length === 0 || wanted.includes(name),
  );
  const programs = names.map((name) => MANAGERS[name]?.program ?? name).join(" ");
  const found = step(
    space,
    `for p in ${programs}; do command -v $p >/dev/null && echo $p; done; true`,
  );
  const lines = new Set(found.split("\n"));
  const managed = names.filter((name) => lines.has(MANAGERS[name]?.program ?? name));
  // Where the system keeps Python's packages, pip must leave them alone.
  const marker =
    'ls "$(python3 -c \'import sysconfig; print(sysconfig.get_path("stdlib"))\')/EXTERNALLY-MANAGED"';
  const isSystems = managed.includes("pip") && spaces.exec(space, marker).exit_code === 0;
  return isSystems ? managed.filter((name) => name !== "pip") : managed;
}

/** Updates with one package manager. @returns what changed, or would */
function update(space: string, name: string, manager: Manager): Change[] {
  if (manager.needsRoot && step(space, "id -u").trim() !== "0") {
    throw new Error("needs root in the space: give its template the user 0:0.");
  }
  if (manager.refresh !== undefined) step(space, manager.refresh);
  const before = manager.readInstalled(step(space, manager.installed));
  const outdated = manager.readOutdated(step(space, manager.outdated, manager.outdatedCodes));
  if (outdated.size === 0) return [];
  if (!dryRun) step(space, manager.update([...outdated.keys()]));
  const after = dryRun ? outdated : manager.readInstalled(step(space, manager.installed));
  return [...after].flatMap(([item, version]) => {
    const old = before.get(item) ?? "";
    return old === version ? [] : [{ space, manager: name, package: item, old, new: version }];
  });
}

const changes: Change[] = [];
const failures: { space: string; manager: string; error: string }[] = [];
const all = selected(given, "running");
for (const { name: space } of all) {
  let managers: string[] = [];
  try {
    managers = managersOf(space);
  } catch (error) {
    failures.push({ space, manager: "", error: reasonOf(error) });
  }
  for (const name of managers) {
    const manager = MANAGERS[name];
    if (manager === undefined) continue;
    try {
      changes.push(...update(space, name, manager));
    } catch (error) {
      failures.push({ space, manager: name, error: reasonOf(error) });
    }
  }
}

if (json) {
  console.log(JSON.stringify({ dry_run: dryRun, spaces: all.length, changes, failures }));
} else {
  printTable(changes.map((change) => ({ ...change })));
  for (const { space, manager, error } of failures) {
    console.error(`${space}${manager && ` (${manager})`}: ${error}`);
  }
  const what = dryRun ? "can be updated" : "updated";
  console.log(
    `${counted(all.length, "space")}, ${counted(changes.length, "package")} ${what}, ${counted(failures.length, "failure")}`,
  );
}
exit(failures.length === 0 ? 0 : 1);
