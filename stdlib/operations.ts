/**
 * The one table of what scripts can do with spaces. `spaces`, `spaces/async` and `space` are all
 * made from it, so nothing is written twice. Each entry is a generator of host calls (`steps.ts`).
 */
import {
  anyText,
  count,
  flag,
  isPlainObject,
  milliseconds,
  noMore,
  optional,
  options,
  text,
  textRecord,
} from "./arguments.js";
import { exec, run, run_script } from "./commands.js";
import { port_forward, port_list, port_stop } from "./ports.js";
import { fieldForScript, type HostField, type HostSpace, spaceForScript } from "./results.js";
import { call, type Steps } from "./steps.js";

const spaceName = (fn: string, value: unknown) => text({ fn, parameter: "space name" }, value);

function* change(fn: "start" | "stop" | "restart", name: unknown): Steps<true> {
  yield* call(`spaces.${fn}`, { space: spaceName(fn, name) });
  return true;
}

const start = (name?: unknown): Steps<true> => change("start", name);
const stop = (name?: unknown): Steps<true> => change("stop", name);
const restart = (name?: unknown): Steps<true> => change("restart", name);

function* get(name?: unknown): Steps<ReturnType<typeof spaceForScript>> {
  return spaceForScript(yield* call<HostSpace>("spaces.get", { space: spaceName("get", name) }));
}

function* is_running(name?: unknown): Steps<boolean> {
  const input = { space: spaceName("is_running", name) };
  return (yield* call<HostSpace>("spaces.get", input)).isRunning;
}

/** What the contract lets one page hold. */
const LARGEST_PAGE = 1000;

interface Page {
  readonly items: readonly HostSpace[];
  readonly nextCursor?: string;
}

function* list(filter?: unknown): Steps<ReturnType<typeof spaceForScript>[]> {
  const { limit = Number.POSITIVE_INFINITY, ...query } = options("list", filter, {
    status: text,
    template: text,
    metadata: textRecord,
    limit: count,
  });
  const found: ReturnType<typeof spaceForScript>[] = [];
  let cursor: string | undefined;
  do {
    const left = limit - found.length;
    const page: Page = yield* call<Page>("spaces.list", {
      ...query,
      limit: Number.isFinite(left) ? Math.min(left, LARGEST_PAGE) : undefined,
      cursor,
    });
    for (const space of page.items) found.push(spaceForScript(space));
    cursor = page.nextCursor;
  } while (cursor !== undefined && found.length < limit);
  return found.length > limit ? found.slice(0, limit) : found;
}

function* create(
  name?: unknown,
  template?: unknown,
  third?: unknown,
  shell?: unknown,
  ...rest: unknown[]
): Steps<string> {
  const fn = "create";
  const byObject = isPlainObject(third);
  const {
    start: startIt,
    ttl,
    ...given
  } = byObject
    ? options(fn, third, {
        description: anyText,
        shell: text,
        env: textRecord,
        fields: textRecord,
        metadata: textRecord,
        ttl: milliseconds,
        start: flag,
      })
    : {
        start: false,
        ttl: undefined,
        description: optional(anyText, { fn, parameter: "description" }, third),
        shell: optional(text, { fn, parameter: "shell" }, shell),
      };
  noMore(fn, byObject ? [shell, ...rest] : rest);
  const { id } = yield* call<HostSpace>("spaces.create", {
    ...given,
    ttlMs: ttl,
    name: spaceName(fn, name),
    template: text({ fn, parameter: "template name" }, template),
  });
  if (startIt) yield* start(id);
  return id;
}

function* extend(name?: unknown, duration?: unknown): Steps<string> {
  const fn = "extend";
  const space = yield* call<HostSpace>("spaces.extend", {
    space: spaceName(fn, name),
    durationMs: milliseconds({ fn, parameter: "duration" }, duration),
  });
  return String(space.expiresAt);
}

function* remove(name?: unknown, opts?: unknown): Steps<true> {
  const { force } = options("delete", opts, { force: flag });
  yield* call("spaces.delete", { space: spaceName("delete", name), force });
  return true;
}

function* get_field(name?: unknown, field?: unknown): Steps<string> {
  const fn = "get_field";
  const answer = yield* call<{ value?: string }>("fields.get", {
    space: spaceName(fn, name),
    field: text({ fn, parameter: "field name" }, field),
  });
  return answer.value ?? "";
}

function* set_field(name?: unknown, field?: unknown, value?: unknown): Steps<true> {
  const fn = "set_field";
  yield* call("fields.set", {
    space: spaceName(fn, name),
    field: text({ fn, parameter: "field name" }, field),
    value: anyText({ fn, parameter: "value" }, value),
  });
  return true;
}

function* list_fields(name?: unknown): Steps<ReturnType<typeof fieldForScript>[]> {
  const input = { space: spaceName("list_fields", name) };
  const { items } = yield* call<{ items: readonly HostField[] }>("fields.list", input);
  return items.map(fieldForScript);
}

function* get_description(name?: unknown): Steps<string> {
  const input = { space: spaceName("get_description", name) };
  return (yield* call<HostSpace>("spaces.get", input)).description;
}

function* set_description(name?: unknown, description?: unknown): Steps<true> {
  const fn = "set_description";
  yield* call("spaces.update", {
    space: spaceName(fn, name),
    description: anyText({ fn, parameter: "description" }, description),
  });
  return true;
}

/** What takes the space's name or id first, and so can be bound to the current space. */
export const spaceOperations = {
  start,
  stop,
  restart,
  extend,
  is_running,
  get,
  get_field,
  set_field,
  list_fields,
  get_description,
  set_description,
  run,
  exec,
  run_script,
  port_forward,
  port_list,
  port_stop,
};

/** Everything in the `spaces` module. */
export const operations = { ...spaceOperations, list, create, remove, delete: remove };
