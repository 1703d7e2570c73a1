/** The contract over the remote binding, to a server on the virtual driver. */
import { describe } from "vitest";
import { openServedClient } from "../support/served.js";
import { contractSuite } from "./suite.js";

describe("remote binding, virtual driver", () => {
  contractSuite({ driver: "virtual", native: false, open: openServedClient });
});
