/** For tests that are about which error comes. */
import { type ErrorCode, SpacesError } from "../../runtime/contract/errors.js";

/** The code that a call fails with, or `none`; what is no error of the registry is thrown on. */
export async function codeOf(call: Promise<unknown>): Promise<ErrorCode | "none"> {
  try {
    await call;
    return "none";
  } catch (error) {
    if (SpacesError.isInstance(error)) return error.code;
    throw error;
  }
}
