/**
 * The engine of the worker: QuickJS compiled to WebAssembly. Each sandbox is an instance of its
 * own with a memory that cannot grow past its cap; instances are dropped, never disposed, because
 * disposing aborts after the guest ran out of memory.
 */
import * as variantModule from "@jitl/quickjs-wasmfile-release-sync";
import {
  type EmscriptenModuleLoader,
  type JSRuntimePointer,
  newQuickJSWASMModuleFromVariant,
  type QuickJSContext,
  type QuickJSEmscriptenModule,
  type QuickJSHandle,
  type QuickJSSyncVariant,
} from "quickjs-emscripten-core";
import { PAGE_BYTES } from "../limits.js";
import type { Engine, Sandbox, SandboxOptions } from "./engine.js";
import { RejectionTracker, type TrackedInstance } from "./rejection-tracker.js";

/** Pages that an instance begins with; `tools/build.mjs` fits the engine to it. */
const INITIAL_PAGES = 96;

type Wrapped<T> = T | { readonly default: Wrapped<T> };

/** Takes a default export out of a module, however deep a bundler has put it. */
function unwrap<T extends object>(value: Wrapped<T>): T {
  return "default" in value ? unwrap<T>(value.default) : value;
}

const baseVariant = unwrap<QuickJSSyncVariant>(variantModule);

/** A script in strict mode whose value is a promise: the engine's flags for it, which have no names. */
const EVAL_STRICT_ASYNC = (1 << 3) | (1 << 7);

interface MemoryState {
  refused: boolean;
}

/** A memory that notes when the guest is refused more of it: the only proof of exhaustion. */
function createMemory(memoryBytes: number, state: MemoryState): WebAssembly.Memory {
  const maximum = Math.max(INITIAL_PAGES, memoryBytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: INITIAL_PAGES, maximum });
  const grow = memory.grow.bind(memory);
  memory.grow = (pages) => {
    try {
      return grow(pages);
    } catch (error) {
      state.refused = true;
      throw error;
    }
  };
  return memory;
}

async function instantiate(
  wasmModule: WebAssembly.Module,
  memoryBytes: number,
  state: MemoryState,
): Promise<TrackedInstance> {
  const memory = createMemory(memoryBytes, state);
  let exports: WebAssembly.Exports = {};
  let module: QuickJSEmscriptenModule | undefined;
  const variant: QuickJSSyncVariant = {
    type: "sync",
    importFFI: baseVariant.importFFI,
    importModuleLoader: async () => {
      const load = unwrap<EmscriptenModuleLoader<QuickJSEmscriptenModule>>(
        await baseVariant.importModuleLoader(),
      );
      return async () => {
        const loaded = await load({
          wasmMemory: memory,
          instantiateWasm(imports, onSuccess) {
            const instance = new WebAssembly.Instance(wasmModule, imports);
            exports = instance.exports;
            onSuccess(instance);
            return instance.exports;
          },
        });
        const allocate = loaded._malloc;
        // The library writes to the pointer without a look: a null one would corrupt the instance.
        loaded._malloc = (size) => {
          const pointer = allocate(size);
          if (pointer === 0) {
            state.refused = true;
            throw new RangeError("The sandbox is out of memory.");
          }
          return pointer;
        };
        module = loaded;
        return loaded;
      };
    },
  };
  const quickjs = await newQuickJSWASMModuleFromVariant(variant);
  if (module === undefined) {
    throw new Error("The engine was not loaded.");
  }
  return { quickjs, module, exports, memory };
}

/** A runtime and its address, which the library keeps to itself. */
function createRuntime({ quickjs }: TrackedInstance) {
  const ffi = quickjs.getFFI();
  const create = ffi.QTS_NewRuntime;
  let pointer: JSRuntimePointer | undefined;
  ffi.QTS_NewRuntime = () => {
    pointer = create();
    return pointer;
  };
  const runtime = quickjs.newRuntime();
  ffi.QTS_NewRuntime = create;
  if (pointer === undefined) {
    throw new Error("The engine made no runtime.");
  }
  return { runtime, pointer };
}

class QuickjsSandbox implements Sandbox {
  readonly #context: QuickJSContext;
  readonly #options: SandboxOptions;
  readonly #memory: MemoryState;
  readonly #hooks = new Map<string, QuickJSHandle>();
  readonly #rejections: RejectionTracker;
  #broken = false;

  constructor(instance: TrackedInstance, memory: MemoryState, options: SandboxOptions) {
    this.#options = options;
    this.#memory = memory;
    const { runtime, pointer } = createRuntime(instance);
    runtime.setMaxStackSize(options.stackBytes);
    this.#rejections = RejectionTracker.install(instance, pointer, () => {
      runtime.setInterruptHandler(() => this.#broken || options.host.shouldStop());
    });
    this.#context = runtime.newContext();
    this.#rejections.watch(this.#context);
    runtime.setModuleLoader(
      (name) => {
        const found = options.host.loadModule(name);
        return "text" in found ? found.text : { error: new Error(found.error) };
      },
      (importer, specifier) => options.host.resolveModule(importer, specifier),
    );
    this.#evaluatePrelude(options.prelude);
  }

  get memoryRefused(): boolean {
    return this.#memory.refused;
  }

  get broken(): boolean {
    return this.#broken;
  }

  callHook(name: string, argument: string): boolean {
    const hook = this.#hooks.get(name);
    if (hook === undefined || this.#broken) {
      return false;
    }
    return this.#guarded(() => {
      const handle = this.#context.newString(argument);
      return this.#callHandle(hook, handle);
    });
  }

  evaluate(filename: string, code: string): boolean {
    return this.#guarded(() => {
      const result = this.#context.evalCode(code, filename, EVAL_STRICT_ASYNC);
      const [hook, argument] = result.error
        ? ([this.#hooks.get("threw"), result.error] as const)
        : ([this.#hooks.get("evaluated"), result.value] as const);
      return hook !== undefined && this.#callHandle(hook, argument);
    });
  }

  forgetRejections(): void {
    this.#rejections.clear();
  }

  runJobs(limit: number): number {
    let ran = 0;
    const ended = this.#guarded(() => {
      const result = this.#context.runtime.executePendingJobs(limit);
      if (result.error) {
        return false;
      }
      ran = result.value;
      return true;
    });
    return ended ? ran : -1;
  }

  reportUnhandledRejection(): boolean {
    const hook = this.#hooks.get("fail");
    const reason = this.#rejections.takeFirst();
    if (hook === undefined || reason === undefined) {
      return false;
    }
    this.#guarded(() => this.#callHandle(hook, reason));
    return true;
  }

  #callHandle(hook: QuickJSHandle, argument: QuickJSHandle): boolean {
    const result = this.#context.callFunction(hook, this.#context.undefined, argument);
    argument.dispose();
    if (result.error) {
      result.error.dispose();
      return false;
    }
    result.value.dispose();
    return true;
  }

  /** Runs engine code; an error of the host's side means that the instance cannot be trusted. */
  #guarded(action: () => boolean): boolean {
    try {
      return action();
    } catch {
      this.#broken = true;
      return false;
    }
  }

  #evaluatePrelude(prelude: string): void {
    const context = this.#context;
    const port = context.newObject();
    const define = (name: string, handle: QuickJSHandle) => {
      context.setProp(port, name, handle);
      handle.dispose();
    };
    define(
      "call",
      context.newFunction("call", (operation, json) => {
        const answer = this.#fromHost(() =>
          this.#options.host.call(context.getString(operation), context.getString(json)),
        );
        return context.newString(answer);
      }),
    );
    define(
      "evaluate",
      context.newFunction("evaluate", (name) => {
        const asked = context.getString(name);
        const text = this.#options.host.lazyText(asked);
        return context.evalCode(text, `spaces:lazy/${asked}`, { type: "global" });
      }),
    );
    define(
      "hook",
      context.newFunction("hook", (name, hook) => {
        this.#hooks.set(context.getString(name), hook.dup());
      }),
    );
    context.setProp(context.global, "spaces:port", port);
    port.dispose();
    const result = context.evalCode(prelude, "spaces:host", { type: "module" });
    context.unwrapResult(result).dispose();
  }

  #fromHost(action: () => string): string {
    try {
      return action();
    } catch {
      this.#broken = true;
      return "";
    }
  }
}

/** QuickJS from its compiled WebAssembly. */
export function createQuickjsEngine(wasmModule: WebAssembly.Module): Engine {
  return {
    async createSandbox(options) {
      const state: MemoryState = { refused: false };
      const instance = await instantiate(wasmModule, options.memoryBytes, state);
      return new QuickjsSandbox(instance, state, options);
    },
  };
}
