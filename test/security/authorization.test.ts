/** Authorization of the engine itself: tokens become callers as they do in the server. */
import { describe } from "vitest";
import { openTestHost } from "../support/engine-host.js";
import { authorizationSuite } from "./authorization-suite.js";

describe("authorization over the in-process engine", () => {
  authorizationSuite(async () => {
    const test = await openTestHost();
    return {
      addUser: async (name, permissions) => test.as(await test.addUser(name, permissions)),
      [Symbol.asyncDispose]: () => test[Symbol.asyncDispose](),
    };
  });
});
