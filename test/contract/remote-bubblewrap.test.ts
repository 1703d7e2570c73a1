/** The contract over the remote binding, to a server on bubblewrap. */
import { describe } from "vitest";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { openServedClient } from "../support/served.js";
import { contractSuite } from "./suite.js";

const bubblewrap = await bubblewrapAvailability();

describe.skipIf(!bubblewrap.usable)("remote binding, bubblewrap driver", () => {
  contractSuite({ driver: "bubblewrap", native: true, open: openServedClient });
});
