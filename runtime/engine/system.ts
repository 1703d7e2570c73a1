/** Tells which binding answers and what it can use. */
import type { SystemInfo, Whoami } from "../contract/system.js";
import { VERSION } from "../version.js";
import type { CallContext, EngineParts } from "./context.js";
import { hidePaths } from "./host-paths.js";

/** Who a call comes from. */
export function whoami({ actor }: CallContext): Whoami {
  const { id, name, roles, permissions, token } = actor;
  return {
    id,
    name,
    roles: [...roles],
    permissions: [...permissions],
    ...(token === undefined ? {} : { token }),
  };
}

/** What this engine is and which of its drivers are usable, with the reason where one is not. */
export async function systemInfo(parts: EngineParts, context: CallContext): Promise<SystemInfo> {
  const probed = await Promise.all(
    parts.drivers.names.map(async (name) => {
      const driver = await parts.drivers.get(name);
      return { driver, probe: await driver.probe() };
    }),
  );
  const byDefault =
    parts.drivers.preferred ?? probed.find(({ probe }) => probe.usable)?.driver.name;
  return {
    version: VERSION,
    binding: context.local ? "in-process" : "remote",
    installation: parts.installationId,
    ...(context.local ? { dataDir: parts.dataDir } : {}),
    actor: {
      id: context.actor.id,
      name: context.actor.name,
      permissions: [...context.actor.permissions],
    },
    drivers: probed.map(({ driver, probe }) => {
      const { features } = driver;
      return {
        name: driver.name,
        usable: probe.usable,
        isDefault: driver.name === byDefault,
        ...(probe.usable
          ? { version: probe.version }
          : {
              reason: context.local ? probe.reason : hidePaths(probe.reason),
              remedy: probe.remedy,
            }),
        features: {
          nativePrograms: features.nativePrograms,
          images: features.images,
          network: [...features.network],
          limits: [...features.limits],
          streaming: features.streaming,
          pty: features.pty,
          ports: features.ports,
        },
      };
    }),
  };
}
