/** Turns the relay's error numbers into errors of the registry. Used by the relay's client. */
import { constants } from "node:os";
import { getSystemErrorName } from "node:util";
import { SpacesError } from "../contract/errors.js";
import type { GuestEndpoint, HostEndpoint, RelayForwardRequest } from "./relay-protocol.js";

/** The agent said something that no agent says. */
const MISBEHAVED = 4001;
/** Another command closed or replaced the forward before it was open. */
const REPLACED = 4002;

/** A short name for an error number of the relay, such as `ECONNREFUSED`. */
export function errnoName(errno: number): string {
  if (errno === MISBEHAVED) return "EMISBEHAVED";
  if (errno === REPLACED) return "EREPLACED";
  return getSystemErrorName(-errno);
}

function placeOf(endpoint: GuestEndpoint | HostEndpoint): string {
  return endpoint.kind === "host" ? `${endpoint.address} of the host` : "the space's loopback";
}

/** Why a forward could not be opened. */
export function openError({ id, source }: RelayForwardRequest, errno: number): SpacesError {
  const details = { forward: id, port: source.port, errno: errnoName(errno) };
  const port = `Port ${source.port} on ${placeOf(source)}`;
  if (errno === constants.errno.EADDRINUSE) {
    return new SpacesError("PORT_IN_USE", `${port} is in use.`, { details });
  }
  if (errno === REPLACED) {
    return new SpacesError("CONFLICT", `The forward "${id}" was closed while it was opened.`, {
      details,
    });
  }
  if (errno === EUSERS) {
    return new SpacesError("LIMIT_EXCEEDED", "There are as many port forwards as can be.", {
      suggestion: "Stop forwards that are not needed any more.",
      details,
    });
  }
  if (source.kind === "host") return hostError(port, errno, details);
  const [reason, suggestion] = agentReason(errno);
  return new SpacesError("DRIVER_FAILED", `${port} cannot be listened on: ${reason}.`, {
    suggestion,
    details,
  });
}

const EUSERS = 87;

function hostError(port: string, errno: number, details: Record<string, unknown>): SpacesError {
  if (errno === constants.errno.EACCES) {
    return new SpacesError("DRIVER_FAILED", `${port} needs a privilege that this user lacks.`, {
      suggestion: "Choose a port above 1023.",
      details,
    });
  }
  const message = `${port} cannot be listened on: ${errnoName(errno)}.`;
  return new SpacesError("DRIVER_FAILED", message, { details });
}

const RESTART = "Check that the space is running, or restart it.";

function agentReason(errno: number): readonly [reason: string, suggestion: string] {
  const { ENOENT, ECONNREFUSED, EACCES, ETIMEDOUT, EOPNOTSUPP } = constants.errno;
  switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
      return ["the space's agent is not there", RESTART];
    case ETIMEDOUT:
      return ["the space's agent does not answer", RESTART];
    case EOPNOTSUPP:
      return ["the space's agent cannot hand over sockets", RESTART];
    case EACCES:
      return [
        "the space's agent does not accept the token, or the port needs a privilege",
        "Choose a port above 1023, or restart the space.",
      ];
    case MISBEHAVED:
      return [
        "what answers in the space is not an agent of this program",
        "Restart the space; if that does not help, do not trust what runs in it.",
      ];
    default:
      return [errnoName(errno), RESTART];
  }
}
