/** Authorization over HTTP: each caller has a token of its own, one has none. */
import { describe } from "vitest";
import { openServed } from "../support/served.js";
import { authorizationSuite } from "./authorization-suite.js";

describe("authorization over the remote binding", () => {
  authorizationSuite(async () => {
    // Every procedure is tried without a token: more than an address may get wrong in a minute.
    const limits = { failedAuthPerMinute: 1_000 };
    const served = await openServed({ auth: "token", limits });
    const admin = served.binding.client;
    return {
      async addUser(name, permissions) {
        await admin.roles.save({ role: `role-of-${name}`, permissions: [...permissions] });
        await admin.users.create({ name, roles: [`role-of-${name}`] });
        const { token } = await admin.tokens.create({ name: "test", user: name });
        return (await served.connect({ token })).client;
      },
      anonymous: (await served.connect({ token: undefined })).client,
      [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
    };
  });
});
