import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode } from "../runtime/contract/errors.js";
import { exitCodeOf } from "./exit-codes.js";

describe("exitCodeOf", () => {
  it("has an exit code above 0 for every error of the registry", () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[]) {
      expect(exitCodeOf(code), code).toBeGreaterThan(0);
    }
  });

  it.each<[ErrorCode, number]>([
    ["INVALID_INPUT", 2],
    ["SPACE_NOT_FOUND", 1],
    ["COMMAND_NOT_FOUND", 127],
    ["COMMAND_TIMEOUT", 124],
    ["SCRIPT_TIMEOUT", 124],
    ["DRIVER_UNAVAILABLE", 125],
    ["STORE_UNAVAILABLE", 125],
    ["INTERNAL", 125],
    ["CANCELLED", 130],
  ])("ends with the code that shells and timeout(1) users expect for %s", (code, exit) => {
    expect(exitCodeOf(code)).toBe(exit);
  });
});
