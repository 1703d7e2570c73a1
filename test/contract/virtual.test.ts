/** The contract over every binding on the virtual driver. */
import { describe } from "vitest";
import { BINDINGS } from "../support/client.js";
import { contractSuite } from "./suite.js";

describe.each(BINDINGS)("%s binding, virtual driver", (binding) => {
  contractSuite({ driver: "virtual", binding, native: false });
});
