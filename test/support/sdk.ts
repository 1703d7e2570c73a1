/** Clients of the SDK for tests, on an engine in this process or on a server. */
import { AgentSpaces } from "../../runtime/sdk/agent-spaces.js";
import { createTestClient } from "../../runtime/testing.js";
import { openServed } from "./served.js";

/** For `describe.each`. */
export const PLACES = ["this machine", "a server"] as const;

export interface SdkClient extends AsyncDisposable {
  readonly client: AgentSpaces;
}

/** Opens a client; disposing deletes all of its spaces. */
export async function openSdk(place: (typeof PLACES)[number], driver: string): Promise<SdkClient> {
  if (place === "this machine") {
    const client = createTestClient({ driver });
    return { client, [Symbol.asyncDispose]: () => client.close() };
  }
  const served = await openServed({ driver, auth: "token" });
  const { url, adminToken: token } = served.server;
  const client = new AgentSpaces({ url, token });
  return {
    client,
    async [Symbol.asyncDispose]() {
      await client.close();
      await served[Symbol.asyncDispose]();
    },
  };
}
