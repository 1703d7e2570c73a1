/** Arguments reach a program exactly as they are, whatever they are. */
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GuestConnection } from "../driver.js";
import { decodeBytes, encodeBytes, wellFormed } from "./byte-text.js";
import { checkRequest, quoteWord } from "./quoting.js";
import { run, shell, type TestBed, testBed } from "./test-support.js";

const nasty = fc.constantFrom(
  ..."'\"\\$`!*?[]{}()<>|&;#~=%^ \t\n\r-é€😀\ud800\udcff\u0001\u007f\ufeff".split(""),
);
const argument = fc
  .oneof(
    fc.string({ unit: nasty, maxLength: 20 }),
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.array(fc.nat(0xffff), { maxLength: 8 }).map((units) => String.fromCharCode(...units)),
  )
  .map((text) => text.replaceAll("\0", ""));

describe("quoting", () => {
  let bed: TestBed;
  let connection: GuestConnection;

  beforeAll(async () => {
    bed = testBed();
    ({ connection } = await bed.started());
  });
  afterAll(() => bed[Symbol.asyncDispose]());

  it("gives any arguments to the program unchanged", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(argument, { minLength: 1, maxLength: 6 }), async (args) => {
        const { stdout, exit } = await run(connection, ["printf", "%s|", ...args]);
        expect(exit).toEqual({ exitCode: 0 });
        expect(stdout).toEqual(Buffer.from(`${args.map(wellFormed).join("|")}|`));
      }),
      { numRuns: 200 },
    );
  });

  it("gives an argument no shell meaning", async () => {
    const { stdout } = await run(connection, ["printf", "%s|", "a b", "$HOME", "*", "$(pwd)"]);
    expect(stdout.toString()).toBe("a b|$HOME|*|$(pwd)|");
  });

  it("quotes a word so that the shell reads it back", async () => {
    await fc.assert(
      fc.asyncProperty(argument, async (word) => {
        const { stdout } = await shell(connection, `printf %s ${quoteWord(word)}`);
        expect(stdout).toEqual(Buffer.from(wellFormed(word)));
      }),
      { numRuns: 100 },
    );
  });

  it("gives environment variables unchanged", async () => {
    await fc.assert(
      fc.asyncProperty(argument, async (value) => {
        const line = 'printf %s "$GIVEN"';
        const { stdout } = await run(connection, ["bash", "-c", line], { env: { GIVEN: value } });
        expect(stdout).toEqual(Buffer.from(wellFormed(value)));
      }),
      { numRuns: 100 },
    );
  });

  it("passes any bytes from standard input to standard output", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (input) => {
        expect((await run(connection, ["cat"], { input })).stdout).toEqual(Buffer.from(input));
        const piped = await run(connection, ["bash", "-c", "cat | cat > bytes; cat bytes"], {
          input,
        });
        expect(piped.stdout).toEqual(Buffer.from(input));
      }),
      { numRuns: 60 },
    );
  });

  it("decodes and encodes any bytes without loss", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        expect(encodeBytes(decodeBytes(bytes))).toEqual(new Uint8Array(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it("refuses a NUL character with INVALID_INPUT", () => {
    const code = (request: Parameters<typeof checkRequest>[0]) => {
      try {
        checkRequest(request);
        return "accepted";
      } catch (error) {
        return error instanceof Error && "code" in error ? error.code : error;
      }
    };
    expect(code({ argv: ["a\0b"], env: {} })).toBe("INVALID_INPUT");
    expect(code({ argv: ["a", "\0"], env: {} })).toBe("INVALID_INPUT");
    expect(code({ argv: ["a"], env: { A: "\0" } })).toBe("INVALID_INPUT");
    expect(code({ argv: ["a"], env: { "A=B": "" } })).toBe("INVALID_INPUT");
    expect(code({ argv: ["a"], env: {}, workdir: "/a\0" })).toBe("INVALID_INPUT");
    expect(code({ argv: ["a"], env: {}, workdir: "relative" })).toBe("INVALID_INPUT");
    expect(code({ argv: ["a"], env: { A: "b" }, workdir: "/" })).toBe("accepted");
  });
});
