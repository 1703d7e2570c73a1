/** The module `yaml`: reads and writes YAML 1.2. */

declare module "yaml" {
  /**
   * The value that a YAML text describes. Aliases that would grow it beyond measure are refused.
   *
   * @example
   * const config = parse("port: 8080\nhosts: [a, b]") as { port: number };
   *
   * @param text One YAML document.
   * @throws SpacesError `INVALID_INPUT` with `line` and `column` in `details`; `LIMIT_EXCEEDED`
   */
  export function parse(text: string): unknown;

  /**
   * A value as YAML text.
   *
   * @example
   * console.log(stringify({ port: 8080 }));
   *
   * @param value Anything that JSON can hold.
   */
  export function stringify(value: unknown): string;

  /** All of the module. */
  const yaml: Omit<typeof import("yaml"), "default">;
  export default yaml;
}
