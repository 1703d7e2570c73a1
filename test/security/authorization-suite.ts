/**
 * The authorization suite: what every binding must refuse, generated from the contract. One test file
 * a binding calls it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Client } from "../../runtime/contract/contract.js";
import { ALL_PERMISSIONS, type Permission } from "../../runtime/contract/permissions.js";
import {
  AUTHORIZATION_CASES,
  type AuthorizationCase,
  type Belongings,
  callByName,
  contractProcedures,
} from "../support/authorization-cases.js";

/** A running system with users of its own. */
export interface AuthorizationHarness extends AsyncDisposable {
  /** Adds a user with these permissions. */
  addUser(name: string, permissions: readonly Permission[]): Promise<Client>;
  /** A client that gives no token; undefined where there is no such thing. */
  readonly anonymous?: Client | undefined;
}

const procedures = contractProcedures();
const without = (...left: Permission[]): Permission[] =>
  ALL_PERMISSIONS.filter((permission) => !left.includes(permission));

function caseOf(name: string): AuthorizationCase {
  const found = AUTHORIZATION_CASES[name];
  if (found === undefined) throw new Error(`${name} has no authorization case: add one`);
  return found;
}

const codeOf = (client: Client, name: string, input: unknown): Promise<string> =>
  callByName(client, name, input).then(
    () => "no error",
    (error) => String(error.code),
  );

export function authorizationSuite(open: () => Promise<AuthorizationHarness>): void {
  let harness: AuthorizationHarness;
  let owner: Client;
  let intruder: Client;
  let belongings: Belongings;
  let spaceId: string;
  let ownerId: string;

  beforeAll(async () => {
    harness = await open();
    owner = await harness.addUser("owner", without("ManageUsers", "ManageSpaces"));
    intruder = await harness.addUser("intruder", without("ManageUsers", "ManageSpaces"));
    for (const [client, name] of [
      [owner, "theirs"],
      [intruder, "mine"],
    ] as const) {
      await client.spaces.create({ name, ttlMs: 3_600_000 });
      await client.spaces.start({ space: name });
    }
    await owner.scripts.save({ script: "their-script", source: "console.log(1)" });
    await intruder.scripts.save({ script: "own-script", source: "console.log(1)" });
    for (const [client, name, script] of [
      [owner, "their-schedule", "their-script"],
      [intruder, "own-schedule", "own-script"],
    ] as const) {
      await client.schedules.add({ name, cron: "@yearly", script });
    }
    spaceId = (await owner.spaces.get({ space: "theirs" })).id;
    const theirRun = (await owner.runs.start({ script: "their-script" })).id;
    await owner.runs.wait({ run: theirRun });
    const theirToken = await owner.tokens.create({ name: "spare" });
    ownerId = theirToken.user.id;
    belongings = {
      theirs: "theirs",
      mine: "mine",
      theirScript: "their-script",
      ownScript: "own-script",
      theirRun,
      theirSchedule: "their-schedule",
      ownSchedule: "own-schedule",
      theirToken: theirToken.id,
      theirUser: "owner",
    };
  });
  afterAll(async () => {
    for (const [client, space] of [
      [owner, "theirs"],
      [intruder, "mine"],
    ] as const) {
      await client.spaces.delete({ space, force: true });
    }
    await harness[Symbol.asyncDispose]();
  });

  it("has a case for every procedure, and none for what is no procedure", () => {
    expect(Object.keys(AUTHORIZATION_CASES).sort()).toEqual(
      procedures.map(({ name }) => name).sort(),
    );
  });

  it("reaches for another's object wherever an input names one", () => {
    const all: Belongings = {
      theirs: "theirs",
      mine: "mine",
      theirScript: "their-script",
      ownScript: "own-script",
      theirRun: "run_1",
      theirSchedule: "their-schedule",
      ownSchedule: "own-schedule",
      theirToken: "tok_1",
      theirUser: "owner",
    };
    const marks = {
      run: all.theirRun,
      space: all.theirs,
      remote: all.theirs,
      token: all.theirToken,
      user: all.theirUser,
    };
    expect(procedures.filter(({ keys }) => keys.has("space")).length).toBeGreaterThan(30);
    for (const { name, keys } of procedures) {
      const reached = JSON.stringify(
        caseOf(name)
          .reaches(all)
          .map(({ input }) => input),
      );
      for (const [key, value] of Object.entries(marks)) {
        if (keys.has(key)) expect(reached, `${name} takes ${key}`).toContain(`"${key}":"${value}"`);
      }
    }
  });

  describe.each(ALL_PERMISSIONS)("a caller with all permissions but %s", (permission) => {
    const needing = procedures.filter((procedure) => procedure.permission === permission);
    it("is refused all that needs it", async () => {
      const client = await harness.addUser(`no-${permission.toLowerCase()}`, without(permission));
      for (const { name } of needing) {
        const input = caseOf(name).input(belongings);
        expect(await codeOf(client, name, input), name).toBe("PERMISSION_DENIED");
      }
    });
  });

  it.each(["id", "name"] as const)("finds nothing of another owner's by its %s", async (by) => {
    const all = {
      ...belongings,
      ...(by === "id" ? { theirs: spaceId, theirUser: ownerId } : {}),
    };
    for (const { name } of procedures) {
      for (const { input, code } of caseOf(name).reaches(all)) {
        const label = `${name} ${JSON.stringify(input)}`;
        expect(await codeOf(intruder, name, input), label).toBe(code);
      }
    }
  });

  it("finds the same for the owner, so that the refusals mean something", async () => {
    const repeatable = procedures.filter(
      ({ name, idempotent }) => idempotent && !/stop|revoke/.test(name),
    );
    for (const { name } of repeatable) {
      for (const { input, code } of caseOf(name).reaches(belongings)) {
        if (!/^(SPACE|SCRIPT|RUN)_NOT_FOUND$/.test(code)) continue;
        expect(await codeOf(owner, name, input), name).not.toBe(code);
      }
    }
  });

  it("leaves what belongs to others out of lists", async () => {
    const lists = procedures.filter(({ name }) => caseOf(name).listed !== undefined);
    expect(lists.length).toBeGreaterThan(0);
    const { theirRun, theirToken } = belongings;
    const marks = ["theirs", "their-script", "their-schedule", theirRun, theirToken];
    for (const { name } of lists) {
      const { input, listed } = caseOf(name);
      const [seen, known] = await Promise.all(
        [intruder, owner].map(async (client) =>
          listed?.(await callByName(client, name, input(belongings))),
        ),
      );
      expect(
        known?.some((item) => marks.includes(item)),
        `${name} of the owner`,
      ).toBe(true);
      expect(
        seen?.filter((item) => marks.includes(item)),
        name,
      ).toEqual([]);
    }
  });

  it("lets who may manage the spaces of others find them, by id and by name", async () => {
    const manager = await harness.addUser("manager", ["UseSpaces", "ManageSpaces"]);
    for (const space of ["theirs", spaceId]) {
      expect((await manager.spaces.get({ space })).id).toBe(spaceId);
    }
    const { items } = await manager.spaces.list({ all: true });
    expect(items.map(({ name }) => name)).toEqual(expect.arrayContaining(["theirs", "mine"]));
    expect((await manager.spaces.list({})).items).toEqual([]);
  });

  it("lets who may manage global scripts alone change them, and everybody run them", async () => {
    const manager = await harness.addUser("globals", ["ManageScripts", "ManageGlobalScripts"]);
    const user = await harness.addUser("no-globals", without("ManageGlobalScripts"));
    const script = "for-everybody";
    await manager.scripts.save({ script, source: "console.log(1)", global: true });
    for (const [name, input] of [
      ["scripts.save", { script, source: "console.log(2)", global: true }],
      ["scripts.save", { script: "new-one", source: "1", global: true }],
      ["scripts.rollback", { script, global: true }],
      ["scripts.delete", { script, global: true }],
    ] as const) {
      expect(await codeOf(user, name, input), name).toBe("PERMISSION_DENIED");
    }
    for (const name of ["scripts.rollback", "scripts.delete"]) {
      expect(await codeOf(user, name, { script }), name).toBe("SCRIPT_NOT_FOUND");
    }
    expect((await user.scripts.run({ script })).output).toBe("1\n");
    await manager.scripts.delete({ script, global: true });
  });

  it("refuses everything without a token", async () => {
    const { anonymous } = harness;
    if (anonymous === undefined) return;
    for (const { name } of procedures) {
      const input = caseOf(name).input(belongings);
      expect(await codeOf(anonymous, name, input), name).toBe("UNAUTHENTICATED");
    }
  });
}
