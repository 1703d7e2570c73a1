/** What a driver can honour of a template: an option that it cannot is refused, never ignored. */
import { SpacesError } from "../contract/errors.js";
import type { TemplateSpec } from "../contract/templates.js";
import type { Driver } from "../drivers/driver.js";
import type { SpaceRow } from "../store/tables.js";
import { DEFAULT_IMAGE } from "./builtin-templates.js";

/** The driver that a template and a request agree on. @throws SpacesError `UNSUPPORTED` */
export function agreedDriver(
  spec: TemplateSpec,
  requested: string | undefined,
): string | undefined {
  if (requested === undefined || spec.driver === undefined || requested === spec.driver) {
    return spec.driver ?? requested;
  }
  throw new SpacesError(
    "UNSUPPORTED",
    `The template "${spec.name}" needs the driver ${spec.driver}, not ${requested}.`,
    { suggestion: "Leave the driver out, or use another template." },
  );
}

/** The image of a space; null on a driver without images. @throws SpacesError `UNSUPPORTED` */
export function imageFor(spec: TemplateSpec, driver: Driver): string | null {
  if (driver.features.images) {
    return spec.image ?? (process.env.SPACES_DEFAULT_IMAGE || DEFAULT_IMAGE);
  }
  if (spec.image === undefined) return null;
  throw unsupported(driver, `images (the template names "${spec.image}")`);
}

/** The network mode of a space. @throws SpacesError `UNSUPPORTED` */
export function networkFor(spec: TemplateSpec, driver: Driver): string {
  const { network } = driver.features;
  if (spec.network === undefined) return network.includes("open") ? "open" : (network[0] ?? "none");
  if (network.includes(spec.network)) return spec.network;
  throw unsupported(driver, `the network mode "${spec.network}"`);
}

/** Checks all else that a template asks for. @throws SpacesError `UNSUPPORTED` */
export function requireSupported(spec: TemplateSpec, draft: SpaceRow, driver: Driver): void {
  const { resources } = spec;
  const limits = { memoryBytes: resources.memory, cpus: resources.cpus, pids: resources.pids };
  for (const limit of ["memoryBytes", "cpus", "pids"] as const) {
    if (limits[limit] !== undefined && !driver.features.limits.includes(limit)) {
      throw unsupported(driver, `the limit "${limit === "memoryBytes" ? "memory" : limit}"`);
    }
  }
  if (spec.user !== undefined && !driver.features.images) {
    throw unsupported(driver, `another user ("${spec.user}")`);
  }
  requireShell(draft.shell, driver);
}

/** @throws SpacesError `UNSUPPORTED` for a shell that the driver has not */
export function requireShell(shell: string, driver: Driver): void {
  const { shells } = driver.features;
  if (shells === undefined || shells.includes(shell)) return;
  throw unsupported(driver, `the shell "${shell}"`);
}

function unsupported(driver: Driver, what: string): SpacesError {
  return new SpacesError("UNSUPPORTED", `The driver ${driver.name} has no support for ${what}.`);
}
