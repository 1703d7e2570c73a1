import { describe, expect, it } from "vitest";
import { ERRORS, type ErrorCode, SpacesError } from "../contract/errors.js";
import {
  CommandFailedError,
  ConflictError,
  NotFoundError,
  sdkError,
  TimeoutError,
  toSdkError,
  UnavailableError,
} from "./errors.js";

describe("the error classes", () => {
  it("are chosen from the code", () => {
    expect(sdkError("SPACE_NOT_FOUND")).toBeInstanceOf(NotFoundError);
    expect(sdkError("SPACE_EXPIRED")).toBeInstanceOf(NotFoundError);
    expect(sdkError("COMMAND_NOT_FOUND")).toBeInstanceOf(NotFoundError);
    expect(sdkError("SPACE_EXISTS")).toBeInstanceOf(ConflictError);
    expect(sdkError("COMMAND_TIMEOUT")).toBeInstanceOf(TimeoutError);
    expect(sdkError("COMMAND_FAILED")).toBeInstanceOf(CommandFailedError);
    expect(sdkError("SERVER_UNREACHABLE")).toBeInstanceOf(UnavailableError);
    expect(sdkError("INTERNAL").constructor).toBe(SpacesError);
  });

  it("leave only codes without a class of their own to the common one", () => {
    const plain = (Object.keys(ERRORS) as ErrorCode[]).filter(
      (code) => sdkError(code).constructor === SpacesError,
    );
    for (const code of plain) expect([422, 500, 502]).toContain(ERRORS[code].status);
  });

  it("keep what the error says, and bear their own name", () => {
    const cause = new Error("why");
    const error = new SpacesError("PORT_IN_USE", "8080 is taken", {
      suggestion: "Take 8081.",
      details: { port: 8080 },
      cause,
    });
    const own = toSdkError(error);
    expect(own).toBeInstanceOf(ConflictError);
    expect(own).toBeInstanceOf(SpacesError);
    expect(own).toMatchObject({ ...error.serialize(), status: 409, name: "ConflictError", cause });
    expect(toSdkError(own)).toBe(own);
  });

  it("recognise errors of another copy of the package", () => {
    const foreign = Object.assign(new Error("gone"), {
      [Symbol.for("spaces-runtime.SpacesError")]: true,
      code: "SPACE_NOT_FOUND",
    });
    expect(NotFoundError.isInstance(foreign)).toBe(true);
    expect(ConflictError.isInstance(foreign)).toBe(false);
  });

  it("take nothing else for theirs", () => {
    for (const other of [
      undefined,
      null,
      "SPACE_NOT_FOUND",
      new Error("x"),
      { code: "CONFLICT" },
    ]) {
      expect(NotFoundError.isInstance(other)).toBe(false);
      expect(ConflictError.isInstance(other)).toBe(false);
    }
  });
});
