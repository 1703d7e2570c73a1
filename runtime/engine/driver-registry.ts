/** The drivers there are, loaded when first needed, and the choice of one for a new space. */
import { SpacesError } from "../contract/errors.js";
import type { Driver, DriverContext, ProbeResult } from "../drivers/driver.js";

/** The order in which a driver is looked for when none is named. */
const DRIVER_LOADERS = {
  docker: async (context: DriverContext): Promise<Driver> =>
    (await import("../drivers/docker/docker-driver.js")).createDockerDriver(context),
  bubblewrap: async (context: DriverContext): Promise<Driver> =>
    (await import("../drivers/bubblewrap/bubblewrap-driver.js")).createBubblewrapDriver(context),
  virtual: async (context: DriverContext): Promise<Driver> =>
    (await import("../drivers/virtual/virtual-driver.js")).createVirtualDriver(context),
};

type DriverName = keyof typeof DRIVER_LOADERS;
const DRIVER_NAMES = Object.keys(DRIVER_LOADERS) as readonly DriverName[];

function isDriverName(name: string): name is DriverName {
  return Object.hasOwn(DRIVER_LOADERS, name);
}

export class DriverRegistry implements AsyncDisposable {
  readonly #context: DriverContext;
  /** The driver for spaces whose template names none; looked for when absent. */
  readonly preferred: string | undefined;
  readonly #loaded = new Map<string, Promise<Driver>>();

  constructor(context: DriverContext, preferred: string | undefined) {
    this.#context = context;
    this.preferred = preferred;
  }

  get names(): readonly string[] {
    return DRIVER_NAMES;
  }

  /**
   * A driver by name, whether or not it is usable here.
   * @throws SpacesError `INVALID_INPUT` when there is none of this name
   */
  get(name: string): Promise<Driver> {
    if (!isDriverName(name)) {
      throw new SpacesError("INVALID_INPUT", `There is no driver "${name}".`, {
        suggestion: `Use one of: ${DRIVER_NAMES.join(", ")}.`,
      });
    }
    let driver = this.#loaded.get(name);
    if (driver === undefined) {
      driver = DRIVER_LOADERS[name](this.#context);
      this.#loaded.set(name, driver);
    }
    return driver;
  }

  /**
   * The driver for a new space: the one named, else the preferred one, else the first usable.
   * @throws SpacesError `DRIVER_UNAVAILABLE` with the reason and the remedy when it is not usable
   */
  async choose(named: string | undefined): Promise<Driver> {
    const wanted = named ?? this.preferred;
    if (wanted !== undefined) {
      const driver = await this.get(wanted);
      requireUsable(driver.name, await driver.probe());
      return driver;
    }
    for (const name of DRIVER_NAMES) {
      const driver = await this.get(name);
      if ((await driver.probe()).usable) return driver;
    }
    throw new SpacesError("DRIVER_UNAVAILABLE", "No driver is usable here.");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const drivers = await Promise.all(this.#loaded.values());
    await Promise.all(drivers.map((driver) => driver[Symbol.asyncDispose]()));
  }
}

function requireUsable(name: string, probe: ProbeResult): void {
  if (probe.usable) return;
  throw new SpacesError(
    "DRIVER_UNAVAILABLE",
    `The driver ${name} is not usable here: ${probe.reason}`,
    { suggestion: probe.remedy },
  );
}
