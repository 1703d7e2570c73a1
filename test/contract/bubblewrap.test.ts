/** The contract over every binding on bubblewrap. */
import { describe } from "vitest";
import { bubblewrapAvailability } from "../support/bubblewrap.js";
import { BINDINGS } from "../support/client.js";
import { contractSuite } from "./suite.js";

const bubblewrap = await bubblewrapAvailability();

describe.skipIf(!bubblewrap.usable).each(BINDINGS)("%s binding, bubblewrap driver", (binding) => {
  contractSuite({ driver: "bubblewrap", binding, native: true });
});
