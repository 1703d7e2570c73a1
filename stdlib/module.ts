/**
 * Makes the object that a module of the standard library gives to scripts: camelCase aliases beside
 * the snake_case names, frozen, and with a helpful error where a member does not exist.
 */
import { type CamelCase, camelCase, nearest } from "./names.js";

/** A table of functions with its camelCase aliases. */
export type WithAliases<Table> = Table & {
  [Name in keyof Table as Name extends string ? CamelCase<Name> : never]: Table[Name];
};

/** Asked for by the language itself or by tools that look an object over; never a slip. */
const PROBED = new Set(["then", "toJSON", "$$typeof", "nodeType", "asymmetricMatch"]);

/**
 * @param name What people call the module, such as `spaces`.
 * @param members Its functions and values by snake_case name.
 * @returns The frozen module object. Reading a member that does not exist throws a TypeError that
 *   names the nearest one; `in` and `Object.keys` work as usual.
 */
export function createModule<Members extends object>(
  name: string,
  members: Members,
): WithAliases<Members> {
  const target = {};
  const descriptors = Object.getOwnPropertyDescriptors(members);
  for (const [key, descriptor] of Object.entries(descriptors)) {
    if (typeof descriptor.value === "function" && !Object.isFrozen(descriptor.value)) {
      Object.defineProperty(descriptor.value, "name", { value: key });
      Object.freeze(descriptor.value);
    }
    Object.defineProperty(target, key, descriptor);
    const alias = camelCase(key);
    if (alias !== key) Object.defineProperty(target, alias, { ...descriptor, enumerable: false });
  }
  Object.freeze(target);
  const names = Object.keys(descriptors);

  const module = new Proxy(target, {
    get(object, key, receiver) {
      if (typeof key === "symbol" || key in object || PROBED.has(key)) {
        return Reflect.get(object, key, receiver);
      }
      const meant = nearest(key, /[A-Z]/.test(key) ? names.map(camelCase) : names);
      throw new TypeError(
        `${name}.${key} is not a function.${meant ? ` Did you mean ${name}.${meant}?` : ` ${name} has: ${names.join(", ")}.`}`,
      );
    },
    set(_object, key) {
      throw new TypeError(`${name}.${String(key)} cannot be changed: ${name} is read-only.`);
    },
  });
  return module as WithAliases<Members>;
}
