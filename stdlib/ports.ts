/**
 * Port forwards between spaces: `port_forward`, `port_list` and `port_stop`, as steps that both forms
 * of the `spaces` module drive.
 */
import { noMore, port, text } from "./arguments.js";
import { forwardForScript, type HostForward } from "./results.js";
import { call, type Steps } from "./steps.js";

/** `port_forward(source, local_port, remote, remote_port)`: reach a port of another space. */
export function* port_forward(
  source?: unknown,
  local?: unknown,
  remote?: unknown,
  remotePort?: unknown,
  ...rest: unknown[]
): Steps<true> {
  const fn = "port_forward";
  noMore(fn, rest);
  yield* call("ports.forward", {
    space: text({ fn, parameter: "source space" }, source),
    localPort: port({ fn, parameter: "local port" }, local),
    remote: text({ fn, parameter: "remote space" }, remote),
    remotePort: port({ fn, parameter: "remote port" }, remotePort),
  });
  return true;
}

/** `port_list(space)`: the forwards that begin in a space. */
export function* port_list(space?: unknown): Steps<ReturnType<typeof forwardForScript>[]> {
  const input = { space: text({ fn: "port_list", parameter: "space name" }, space) };
  const { items } = yield* call<{ items: readonly HostForward[] }>("ports.list", input);
  return items.filter((forward) => forward.source !== undefined).map(forwardForScript);
}

/** `port_stop(space, local_port)`: ends a forward. */
export function* port_stop(space?: unknown, local?: unknown): Steps<true> {
  const fn = "port_stop";
  yield* call("ports.stop", {
    space: text({ fn, parameter: "space name" }, space),
    localPort: port({ fn, parameter: "local port" }, local),
  });
  return true;
}
