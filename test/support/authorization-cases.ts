/**
 * For every procedure of the contract: the calls that reach for what belongs to another owner. The
 * authorization suite runs them over each binding; a procedure that is not in the table fails it.
 */
import { type AnyContractProcedure, isContractProcedure } from "@orpc/contract";
import { z } from "zod";
import type { Client } from "../../runtime/contract/contract.js";
import { contract } from "../../runtime/contract/contract.js";
import type { ErrorCode } from "../../runtime/contract/errors.js";
import type { Permission } from "../../runtime/contract/permissions.js";

/** What is there to reach for. `theirs` is another owner's; `mine` and `ownScript` the caller's. */
export interface Belongings {
  /** Id or name of a running space of another owner. */
  readonly theirs: string;
  /** Name of a running space of the caller's. */
  readonly mine: string;
  /** Name of a script that only the other owner has. */
  readonly theirScript: string;
  readonly ownScript: string;
  /** Id of a token of the other owner's. */
  readonly theirToken: string;
  /** Id or name of the other owner. */
  readonly theirUser: string;
}

/** One call that must be answered with this code. */
interface Reach {
  readonly input: unknown;
  readonly code: ErrorCode;
}

export interface AuthorizationCase {
  /** Input that is valid in form; for the call without permission. */
  readonly input: (belongings: Belongings) => unknown;
  /**
   * The calls that reach for another owner's objects, by a caller who has all permissions but
   * `ManageSpaces` and `ManageUsers`. None where the input names nothing that has an owner.
   */
  readonly reaches: (belongings: Belongings) => readonly Reach[];
  /** The names and ids that a list gives; for lists alone. */
  readonly listed?: (answer: unknown) => readonly string[];
}

const PROCESS = "0".repeat(32);

const empty = (): ReadableStream => new Blob([]).stream();

/** A procedure that takes a space, and what else it takes. */
function inSpace(more: Readonly<Record<string, unknown>> = {}): AuthorizationCase {
  const input = ({ theirs }: Belongings) => ({ space: theirs, ...more });
  return { input, reaches: (all) => [{ input: input(all), code: "SPACE_NOT_FOUND" }] };
}

function onProcess(more: Readonly<Record<string, unknown>> = {}): AuthorizationCase {
  return inSpace({ process: PROCESS, ...more });
}

/** A procedure that takes a script by its name. */
function onScript(): AuthorizationCase {
  const input = ({ theirScript }: Belongings) => ({ script: theirScript });
  return { input, reaches: (all) => [{ input: input(all), code: "SCRIPT_NOT_FOUND" }] };
}

/** A procedure whose input names nothing that has an owner. */
function ownerless(input: unknown = {}): AuthorizationCase {
  return { input: () => input, reaches: () => [] };
}

/** A procedure on users, who have no owners: only who manages users may call it. */
function onUser(more: Readonly<Record<string, unknown>> = {}): AuthorizationCase {
  const input = ({ theirUser }: Belongings) => ({ user: theirUser, ...more });
  return { input, reaches: (all) => [{ input: input(all), code: "PERMISSION_DENIED" }] };
}

function listing(key: "id" | "name", more: Partial<AuthorizationCase> = {}): AuthorizationCase {
  return {
    ...ownerless(),
    listed: (answer) =>
      (answer as { items: Readonly<Record<string, string>>[] }).items.map(
        (item) => item[key] ?? "",
      ),
    ...more,
  };
}

export const AUTHORIZATION_CASES: Readonly<Record<string, AuthorizationCase>> = {
  "spaces.create": ownerless({ name: "never-made" }),
  "spaces.get": inSpace(),
  "spaces.list": listing("name", {
    reaches: () => [{ input: { all: true }, code: "PERMISSION_DENIED" }],
  }),
  "spaces.update": inSpace({ description: "taken over" }),
  "spaces.extend": inSpace({ durationMs: 1_000 }),
  "spaces.start": inSpace(),
  "spaces.stop": inSpace(),
  "spaces.restart": inSpace(),
  "spaces.delete": inSpace({ force: true }),
  "spaces.wait": inSpace({ status: "running", timeoutMs: 100 }),

  "fields.get": inSpace({ field: "environment" }),
  "fields.set": inSpace({ field: "environment", value: "taken over" }),
  "fields.list": inSpace(),

  "templates.list": ownerless(),
  "templates.get": ownerless({ template: "default" }),
  "templates.apply": ownerless({ source: "name: mine\n" }),
  "templates.delete": ownerless({ template: "none" }),

  "files.list": inSpace(),
  "files.stat": inSpace({ path: "f" }),
  "files.exists": inSpace({ path: "f" }),
  "files.read": inSpace({ path: "f" }),
  "files.write": inSpace({ path: "f", content: "taken over" }),
  "files.mkdir": inSpace({ path: "d" }),
  "files.move": inSpace({ from: "f", to: "g" }),
  "files.copy": inSpace({ from: "f", to: "g" }),
  "files.remove": inSpace({ path: "f", force: true }),
  "files.download": inSpace({ path: "f" }),
  "files.upload": {
    input: ({ theirs }) => upload(theirs),
    reaches: ({ theirs }) => [{ input: upload(theirs), code: "SPACE_NOT_FOUND" }],
  },

  "processes.run": inSpace({ command: "true" }),
  "processes.start": inSpace({ command: "true" }),
  "processes.list": inSpace(),
  "processes.get": onProcess(),
  "processes.follow": onProcess(),
  "processes.write": onProcess(),
  "processes.signal": onProcess(),
  "processes.kill": onProcess(),
  "processes.resize": onProcess({ terminal: { rows: 24, columns: 80 } }),
  "processes.wait": onProcess({ timeoutMs: 100 }),
  "processes.remove": onProcess(),

  "ports.forward": {
    input: ({ theirs, mine }) => forward(theirs, mine),
    reaches: ({ theirs, mine }) => [
      { input: forward(theirs, mine), code: "SPACE_NOT_FOUND" },
      { input: forward(mine, theirs), code: "SPACE_NOT_FOUND" },
    ],
  },
  "ports.open": inSpace({ port: 80, hostPort: 47_113 }),
  "ports.list": inSpace(),
  "ports.stop": inSpace({ localPort: 80 }),

  "scripts.save": ownerless({ script: "new", source: "1" }),
  "scripts.get": onScript(),
  "scripts.list": listing("name"),
  "scripts.history": onScript(),
  "scripts.rollback": onScript(),
  "scripts.delete": onScript(),
  "scripts.run": {
    input: ({ theirScript }) => ({ script: theirScript }),
    reaches: ({ theirs, theirScript, ownScript }) => [
      { input: { script: theirScript }, code: "SCRIPT_NOT_FOUND" },
      { input: { script: ownScript, space: theirs }, code: "SPACE_NOT_FOUND" },
    ],
  },

  "users.create": ownerless({ name: "never-made" }),
  "users.get": onUser(),
  "users.list": ownerless(),
  "users.update": onUser({ disabled: true }),
  "users.delete": onUser(),
  "roles.list": ownerless(),
  "roles.save": ownerless({ role: "new", permissions: [] }),
  "roles.delete": ownerless({ role: "none" }),

  "tokens.create": {
    input: () => ({ name: "test" }),
    reaches: ({ theirUser }) => [
      { input: { name: "test", user: theirUser }, code: "PERMISSION_DENIED" },
      { input: { name: "test", scope: ["ManageUsers"] }, code: "PERMISSION_DENIED" },
    ],
  },
  "tokens.list": listing("id", {
    reaches: ({ theirUser }) => [{ input: { user: theirUser }, code: "PERMISSION_DENIED" }],
  }),
  "tokens.revoke": {
    input: ({ theirToken }) => ({ token: theirToken }),
    reaches: ({ theirToken }) => [{ input: { token: theirToken }, code: "TOKEN_NOT_FOUND" }],
  },

  "system.info": ownerless(),
  "system.whoami": ownerless(),
};

function forward(space: string, remote: string) {
  return { space, localPort: 8080, remote, remotePort: 80 };
}

function upload(space: string) {
  return { params: { space }, query: { path: "f" }, body: empty() };
}

/** A procedure of the contract, found in it. */
export interface ContractProcedure {
  /** Such as `spaces.get`. */
  readonly name: string;
  /** What the caller must be allowed to do; undefined where every caller may. */
  readonly permission: Permission | undefined;
  readonly idempotent: boolean;
  /** The keys of its input, of all levels. */
  readonly keys: ReadonlySet<string>;
}

/** All procedures of the contract. */
export function contractProcedures(): ContractProcedure[] {
  return Object.entries(contract).flatMap(([domain, procedures]) =>
    Object.entries(procedures).map(([action, procedure]: [string, AnyContractProcedure]) => {
      if (!isContractProcedure(procedure)) throw new Error(`${domain}.${action} is no procedure`);
      const { meta, inputSchema } = procedure["~orpc"];
      const { permission, idempotent = false } = meta as {
        permission?: Permission;
        idempotent?: boolean;
      };
      return {
        name: `${domain}.${action}`,
        permission,
        idempotent,
        keys: keysOf(inputSchema),
      };
    }),
  );
}

function keysOf(schema: unknown): ReadonlySet<string> {
  if (!(schema instanceof z.ZodType)) return new Set();
  const json = z.toJSONSchema(schema, { unrepresentable: "any", io: "input" });
  const keys = new Set<string>();
  JSON.stringify(json, (key, value: unknown) => {
    if (key === "properties") for (const name of Object.keys(value as object)) keys.add(name);
    return value;
  });
  return keys;
}

/**
 * Calls a procedure by its name. Of a stream, the first piece is asked for: only then is it known
 * whether it may be read.
 */
export async function callByName(client: Client, name: string, input: unknown): Promise<unknown> {
  const [domain = "", action = ""] = name.split(".");
  const procedures = client[domain as keyof Client] as unknown as Readonly<
    Record<string, (input: unknown) => Promise<unknown>>
  >;
  const answer = await procedures[action]?.(input);
  if (typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer) {
    const stream = (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    await stream.next();
    await stream.return?.();
  }
  return answer;
}
