/** The host that the tests of `stdlib/` put in place of `spaces:host`: it records calls and answers as told. */

type Answer = (input: Record<string, unknown>) => unknown;

/** What the module `spaces:host` exports, with the calls that came and the answers to give. */
export function scriptHost() {
  const calls: [string, unknown][] = [];
  const answers = new Map<string, Answer>();
  const callSync = (name: string, input: unknown): unknown => {
    const crossed = JSON.parse(JSON.stringify(input)) as Record<string, unknown>;
    calls.push([name, crossed]);
    return answers.get(name)?.(crossed) ?? {};
  };
  const callAsync = async (name: string, input: unknown) => callSync(name, input);
  class SpacesError extends Error {
    readonly suggestion: string | undefined;
    readonly details: unknown;
    constructor(
      readonly code: string,
      message: string,
      options: { suggestion?: string; details?: unknown } = {},
    ) {
      super(message);
      this.suggestion = options.suggestion;
      this.details = options.details;
    }
  }
  const script = { args: [], input: undefined, env: {}, space: "bound" };
  return { calls, answers, host: { callSync, callAsync, SpacesError, script } };
}
