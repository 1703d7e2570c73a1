/**
 * Finds promises that were rejected and never handled. QuickJS has a hook for this which its
 * WebAssembly build does not offer: the hook's field in the runtime is found next to that of the
 * interrupt handler, and a function of ours is put into the engine's table for it.
 */
import type {
  EitherModule,
  JSContextPointer,
  JSRuntimePointer,
  JSValuePointer,
  QuickJSContext,
  QuickJSHandle,
  QuickJSWASMModule,
} from "quickjs-emscripten-core";

/** A module that makes a table function of an imported one: (i32, i64, i64, i32, i32) -> (). */
// biome-ignore format: one section a line
const ADAPTER = new WebAssembly.Module(new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  0x01, 0x09, 0x01, 0x60, 0x05, 0x7f, 0x7e, 0x7e, 0x7f, 0x7f, 0x00,
  0x02, 0x07, 0x01, 0x01, 0x65, 0x01, 0x66, 0x00, 0x00,
  0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00,
]));

/** Words of the runtime that are searched for the interrupt handler. */
const RUNTIME_WORDS = 256;
/** Rejections kept until they are handled; a script with more has its first ones reported. */
const MAX_PENDING = 1000;
const VALUE_BYTES = 8;

interface Pending {
  readonly promise: QuickJSHandle;
  readonly reason: QuickJSHandle;
  /**
   * The promise that was rejected just before for the same reason. A module that throws rejects one
   * that nobody can see, and then its own: whoever handles the second has handled both.
   */
  readonly twin: bigint | undefined;
}

export interface TrackedInstance {
  readonly quickjs: QuickJSWASMModule;
  readonly module: EitherModule;
  readonly exports: WebAssembly.Exports;
  readonly memory: WebAssembly.Memory;
}

export class RejectionTracker {
  readonly #instance: TrackedInstance;
  readonly #runtime: JSRuntimePointer;
  readonly #pending = new Map<bigint, Pending>();
  #context: QuickJSContext | undefined;
  #last: { readonly promise: bigint; readonly reason: bigint } | undefined;

  private constructor(instance: TrackedInstance, runtime: JSRuntimePointer) {
    this.#instance = instance;
    this.#runtime = runtime;
  }

  /**
   * Installs the hook while `enableInterrupts` sets the interrupt handler of the runtime.
   *
   * @throws Error when the engine is not laid out as expected: another version of it is in use
   */
  static install(
    instance: TrackedInstance,
    runtime: JSRuntimePointer,
    enableInterrupts: () => void,
  ): RejectionTracker {
    const words = () => new Uint32Array(instance.memory.buffer, runtime, RUNTIME_WORDS);
    const before = words().slice();
    enableInterrupts();
    const after = words();
    const handler = after.findIndex((word, index) => word !== before[index]);
    // Behind the handler and its argument follow the hook and its argument, then an empty list,
    // which is known by pointing to itself.
    const hook = handler + 2;
    const list = runtime + (handler + 4) * Uint32Array.BYTES_PER_ELEMENT;
    const expected = after[hook] === 0 && after[hook + 1] === 0 && after[hook + 2] === list;
    const { table } = instance.exports;
    if (handler < 0 || !expected || !(table instanceof WebAssembly.Table)) {
      throw new Error("The engine has no place for the rejection hook where it was expected.");
    }
    const tracker = new RejectionTracker(instance, runtime);
    const adapter = new WebAssembly.Instance(ADAPTER, { e: { f: tracker.#track } });
    const slot = table.grow(1);
    table.set(slot, adapter.exports.f);
    after[hook] = slot;
    return tracker;
  }

  /** Tells the context in which values are held; before this nothing is tracked. */
  watch(context: QuickJSContext): void {
    this.#context = context;
  }

  /** Takes the reason of the first unhandled rejection; the caller disposes of it. */
  takeFirst(): QuickJSHandle | undefined {
    for (const [key, { promise, reason }] of this.#pending) {
      this.#pending.delete(key);
      promise.dispose();
      return reason;
    }
    return undefined;
  }

  /** Forgets what is not handled yet. */
  clear(): void {
    for (const promise of [...this.#pending.keys()]) {
      this.#forget(promise);
    }
  }

  readonly #track = (
    context: JSContextPointer,
    promise: bigint,
    reason: bigint,
    handled: number,
  ): void => {
    if (handled !== 0) {
      this.#forget(this.#forget(promise)?.twin);
    } else if (this.#pending.size < MAX_PENDING && this.#context !== undefined) {
      const twin = this.#last?.reason === reason ? this.#last.promise : undefined;
      this.#last = { promise, reason };
      this.#pending.set(promise, {
        // Held, so that no other promise can take its address while it is in the map.
        promise: this.#hold(this.#context, context, promise),
        reason: this.#hold(this.#context, context, reason),
        twin,
      });
    }
  };

  #forget(promise: bigint | undefined): Pending | undefined {
    if (promise === undefined) return undefined;
    const pending = this.#pending.get(promise);
    this.#pending.delete(promise);
    pending?.promise.dispose();
    pending?.reason.dispose();
    return pending;
  }

  #hold(owner: QuickJSContext, context: JSContextPointer, value: bigint): QuickJSHandle {
    const { module, memory, quickjs } = this.#instance;
    const cell = module._malloc(VALUE_BYTES) as JSValuePointer;
    new DataView(memory.buffer).setBigInt64(cell, value, true);
    const held = quickjs.getFFI().QTS_DupValuePointer(context, cell);
    module._free(cell);
    return owner.getMemory(this.#runtime).heapValueHandle(held);
  }
}
