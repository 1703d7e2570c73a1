/** The contract over the in-process binding on bubblewrap. */
import { describe } from "vitest";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { contractSuite } from "./suite.js";

const bubblewrap = await bubblewrapAvailability();

describe.skipIf(!bubblewrap.usable)("in-process binding, bubblewrap driver", () => {
  contractSuite({ driver: "bubblewrap", native: true });
});
