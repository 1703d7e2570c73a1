/** The globals `Event`, `CustomEvent`, `EventTarget`, `AbortController` and `AbortSignal`. */
import type { GroupHost } from "../globals.js";
import type { DOMExceptionClass } from "./exception.js";

declare function setTimeout(callback: () => void, ms: number): unknown;
declare function queueMicrotask(callback: () => void): void;

type Listener = ((event: Event) => unknown) | { handleEvent(event: Event): unknown };

interface Registration {
  readonly listener: Listener;
  readonly capture: boolean;
  readonly once: boolean;
  readonly passive: boolean;
}

interface EventState {
  target: EventTarget | null;
  prevented: boolean;
  stopped: boolean;
  passive: boolean;
}

const states = new WeakMap<Event, EventState>();

function stateOf(event: Event): EventState {
  const state = states.get(event);
  if (state === undefined) throw new TypeError("This is not an event.");
  return state;
}

class Event {
  readonly type: string;
  readonly bubbles: boolean;
  readonly cancelable: boolean;
  readonly timeStamp = Date.now();

  constructor(type: unknown, init: { bubbles?: unknown; cancelable?: unknown } = {}) {
    this.type = String(type);
    this.bubbles = Boolean(init.bubbles);
    this.cancelable = Boolean(init.cancelable);
    states.set(this, { target: null, prevented: false, stopped: false, passive: false });
  }

  get target() {
    return stateOf(this).target;
  }

  get currentTarget() {
    return stateOf(this).target;
  }

  get defaultPrevented() {
    return stateOf(this).prevented;
  }

  preventDefault() {
    const state = stateOf(this);
    if (this.cancelable && !state.passive) state.prevented = true;
  }

  /** There is no tree of targets to travel through. */
  stopPropagation() {
    stateOf(this);
  }

  stopImmediatePropagation() {
    stateOf(this).stopped = true;
  }
}

class CustomEvent extends Event {
  readonly detail: unknown;

  constructor(
    type: unknown,
    init: { detail?: unknown; bubbles?: unknown; cancelable?: unknown } = {},
  ) {
    super(type, init);
    this.detail = init.detail ?? null;
  }
}

class EventTarget {
  readonly #listeners = new Map<string, Registration[]>();

  addEventListener(type: unknown, listener: Listener | null, options: unknown = false) {
    if (listener === null || listener === undefined) return;
    const given = (typeof options === "object" ? (options ?? {}) : { capture: options }) as {
      capture?: unknown;
      once?: unknown;
      passive?: unknown;
      signal?: AbortSignal;
    };
    if (given.signal?.aborted) return;
    const capture = Boolean(given.capture);
    const name = String(type);
    const list = this.#listeners.get(name) ?? [];
    if (list.some((other) => other.listener === listener && other.capture === capture)) return;
    const entry = { listener, capture, once: Boolean(given.once), passive: Boolean(given.passive) };
    this.#listeners.set(name, [...list, entry]);
    given.signal?.addEventListener("abort", () =>
      this.removeEventListener(type, listener, capture),
    );
  }

  removeEventListener(type: unknown, listener: Listener | null, options: unknown = false) {
    const capture = Boolean(
      typeof options === "object" ? (options as { capture?: unknown } | null)?.capture : options,
    );
    const name = String(type);
    const list = this.#listeners.get(name) ?? [];
    const left = list.filter((one) => one.listener !== listener || one.capture !== capture);
    this.#listeners.set(name, left);
  }

  dispatchEvent(event: Event): boolean {
    const state = stateOf(event);
    state.target = this;
    for (const entry of this.#listeners.get(event.type) ?? []) {
      if (!this.#listeners.get(event.type)?.includes(entry)) continue;
      if (entry.once) this.removeEventListener(event.type, entry.listener, entry.capture);
      state.passive = entry.passive;
      try {
        if (typeof entry.listener === "function") entry.listener.call(this, event);
        else entry.listener.handleEvent(event);
      } catch (error) {
        // One listener's failure does not keep the event from the others.
        queueMicrotask(() => {
          throw error;
        });
      }
      state.passive = false;
      if (state.stopped) break;
    }
    return !state.prevented;
  }
}

export default function makeEvents({ use }: GroupHost) {
  const exception = (message: string, name: string) => {
    const { DOMException } = use("exception") as { DOMException: DOMExceptionClass };
    return new DOMException(message, name);
  };
  const abortError = () => exception("The operation was aborted.", "AbortError");
  const key = Symbol("made by this module");
  let abort: (signal: AbortSignalClass, reason: unknown) => void;

  class AbortSignalClass extends EventTarget {
    #aborted = false;
    #reason: unknown;
    #onabort: ((event: Event) => unknown) | null = null;

    static {
      abort = (signal, reason) => {
        if (signal.#aborted) return;
        signal.#aborted = true;
        signal.#reason = reason === undefined ? abortError() : reason;
        signal.dispatchEvent(new Event("abort"));
      };
    }

    constructor(maker?: symbol) {
      super();
      if (maker !== key)
        throw new TypeError("AbortSignal cannot be constructed: see AbortController.");
    }

    get aborted() {
      return this.#aborted;
    }

    get reason() {
      return this.#reason;
    }

    get onabort() {
      return this.#onabort;
    }

    set onabort(handler: ((event: Event) => unknown) | null) {
      if (this.#onabort) this.removeEventListener("abort", this.#onabort);
      this.#onabort = typeof handler === "function" ? handler : null;
      this.addEventListener("abort", this.#onabort);
    }

    throwIfAborted() {
      if (this.#aborted) throw this.#reason;
    }

    static abort(reason?: unknown) {
      const signal = new AbortSignalClass(key);
      abort(signal, reason);
      return signal;
    }

    static timeout(ms: number) {
      const signal = new AbortSignalClass(key);
      setTimeout(
        () => abort(signal, exception("The operation was aborted due to timeout.", "TimeoutError")),
        ms,
      );
      return signal;
    }

    static any(signals: Iterable<AbortSignalClass>) {
      const signal = new AbortSignalClass(key);
      const sources = [...signals];
      const done = sources.find((source) => source.aborted);
      if (done) {
        abort(signal, done.reason);
        return signal;
      }
      for (const source of sources) {
        source.addEventListener("abort", () => abort(signal, source.reason), { once: true });
      }
      return signal;
    }
  }

  class AbortController {
    readonly signal = new AbortSignalClass(key);

    abort(reason?: unknown) {
      abort(this.signal, reason);
    }
  }

  return { Event, CustomEvent, EventTarget, AbortController, AbortSignal: AbortSignalClass };
}

/** The parts of a signal that other groups use. */
export interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: string, listener: () => void, options?: unknown): void;
  removeEventListener(type: string, listener: () => void): void;
}
