/**
 * The globals that scripts know from browsers and Node. The prelude calls `installGlobals` once;
 * each group is loaded when one of its names is first used.
 */
import { loadLazy } from "./lazy.js";

type Native = (name: string, input: unknown) => unknown;
type CallAsync = (name: string, input: unknown) => Promise<unknown>;

/** What a lazily loaded group is given. Its default export is a function of this. */
export interface GroupHost {
  readonly native: Native;
  readonly callAsync: CallAsync;
  /** The members of another group, the same for all who ask. */
  readonly use: (group: string) => Record<string, unknown>;
}

const GROUPS = {
  text: "TextEncoder TextDecoder atob btoa",
  url: "URL URLSearchParams",
  clone: "structuredClone",
  crypto: "crypto performance",
  events: "Event CustomEvent EventTarget AbortController AbortSignal",
  exception: "DOMException",
  fetch: "Headers Request Response fetch",
  intl: "Intl",
};

/** Defines a property whose value is made on first use; it can be replaced as any global. */
function defineLazy(target: object, name: string, make: () => unknown): void {
  const define = (value: unknown) =>
    Object.defineProperty(target, name, { value, writable: true, configurable: true });
  Object.defineProperty(target, name, {
    get() {
      const value = make();
      define(value);
      return value;
    },
    set: define,
    configurable: true,
  });
}

/**
 * Defines the globals.
 * @param native Calls a function of the worker.
 * @param callAsync Calls the host.
 */
export function installGlobals(native: Native, callAsync: CallAsync): void {
  const loaded = new Map<string, Record<string, unknown>>();
  const use = (group: string) => {
    let members = loaded.get(group);
    if (members === undefined) {
      const make = loadLazy(group) as (host: GroupHost) => Record<string, unknown>;
      members = make({ native, callAsync, use });
      for (const [name, member] of Object.entries(members)) {
        // The build shortens the names that classes have in the source.
        if (typeof member === "function") Object.defineProperty(member, "name", { value: name });
      }
      loaded.set(group, members);
    }
    return members;
  };
  for (const [group, names] of Object.entries(GROUPS)) {
    for (const name of names.split(" ")) {
      defineLazy(globalThis, name, () => use(group)[name]);
    }
  }
  defineLazy(Array, "fromAsync", () => use("arrays").fromAsync);
  for (const [prototype, names] of [
    [Number.prototype, "toLocaleString"],
    [BigInt.prototype, "toLocaleString"],
    [Date.prototype, "toLocaleString toLocaleDateString toLocaleTimeString"],
  ] as const) {
    const kind = prototype === Date.prototype ? "Date" : "Number";
    for (const name of names.split(" ")) {
      defineLazy(prototype, name, () => use("intl")[`${kind}.${name}`]);
    }
  }
  Object.defineProperty(Error, "captureStackTrace", {
    value(target: object) {
      const stack = new Error().stack?.split("\n").slice(1).join("\n");
      Object.defineProperty(target, "stack", { value: stack, writable: true, configurable: true });
    },
    writable: true,
    configurable: true,
  });
}
