/** The contract over the in-process binding on the virtual driver. */
import { describe } from "vitest";
import { contractSuite } from "./suite.js";

describe("in-process binding, virtual driver", () => {
  contractSuite({ driver: "virtual", native: false });
});
