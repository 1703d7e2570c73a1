/**
 * just-bash's `printf` makes a character of an octal escape where it makes a byte of a hexadecimal
 * one. This finds the format among the arguments and writes its octal bytes in hexadecimal. Used by
 * the worker, in front of the original command.
 */

/**
 * @param args the arguments of `printf`
 * @returns the same, with bytes above 127 of the format as `\xHH`
 */
export function withHexBytes(args: readonly string[]): string[] {
  let at = 0;
  while (args[at] === "-v") at += 2;
  if (args[at] === "--") at += 1;
  return args.map((argument, index) =>
    index === at
      ? argument.replace(/\\(\\|[23][0-7]{2})/g, (sequence, digits: string) =>
          digits === "\\" ? sequence : `\\x${Number.parseInt(digits, 8).toString(16)}`,
        )
      : argument,
  );
}
