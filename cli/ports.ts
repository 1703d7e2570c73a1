/** `spaces ports forward|open|list|stop`: ports of spaces and of the host that lead to ports of spaces. */
import type { Command } from "commander";
import type { Forward } from "../runtime/contract/ports.js";
import { examples } from "./help.js";
import { parsePort } from "./quantities.js";
import type { Session } from "./session.js";
import { ago, table } from "./text.js";

export function definePorts(program: Command, session: Session): void {
  const ports = program
    .command("ports")
    .summary("forward ports between spaces, and from the host")
    .description(
      "Forwards are kept: they outlive this command, and come back when their spaces start again.",
    );

  const forward = ports
    .command("forward")
    .summary("forward a space's port to another space")
    .description("Listen on a port of a space's localhost and lead it to a port of another space.")
    .argument("<source>", "space that listens")
    .argument("<localPort>", "port of its localhost", portOf("localPort"))
    .argument("<remote>", "space that it leads to")
    .argument("<remotePort>", "port of that one's localhost", portOf("remotePort"))
    .action((source: string, localPort: number, remote: string, remotePort: number) =>
      forwardPort(session, { space: source, localPort, remote, remotePort }),
    );
  examples(forward, "ports forward web 8080 api 3000");

  const open = ports
    .command("open")
    .summary("reach a space's port from the host")
    .description(
      "Listen on 127.0.0.1 of the host, lead it to a port of a space, print the address. With a server, the host is the server's machine.",
    )
    .argument("<space>", "name or id")
    .argument("<port>", "port of the space's localhost", portOf("port"))
    .option("--host-port <port>", "port of the host (default: the same)", portOf("--host-port"))
    .action((space: string, port: number, { hostPort }: { hostPort?: number }) =>
      openPort(session, space, port, hostPort),
    );
  examples(open, "ports open api 3000", "ports open api 3000 --host-port 8080");

  const list = ports
    .command("list")
    .alias("ls")
    .summary("list the forwards of a space")
    .description("List the forwards that begin in a space, and the host's that lead to it.")
    .argument("<space>", "name or id")
    .action((space: string) => listPorts(session, space));
  examples(list, "ports list web", "ports list web --json");

  const stop = ports
    .command("stop")
    .summary("end a forward")
    .description("End the forward that begins at a port of a space, or of the host.")
    .argument("<space>", "name or id")
    .argument("<localPort>", "port that listens", portOf("localPort"))
    .option("--host", "the one of the host that leads to the space")
    .action((space: string, localPort: number, { host }: { host?: boolean }) =>
      stopPort(session, space, localPort, host),
    );
  examples(stop, "ports stop web 8080", "ports stop api 8080 --host");
}

function portOf(name: string): (text: string) => number {
  return (text) => parsePort(text, name);
}

async function forwardPort(
  session: Session,
  request: { space: string; localPort: number; remote: string; remotePort: number },
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const forward = await client.ports.forward(request, { signal });
  if (output.isJson) output.json(forward);
  else output.note(`${listenerOf(forward)} leads to ${targetOf(forward)}.`);
}

async function openPort(
  session: Session,
  space: string,
  port: number,
  hostPort: number | undefined,
): Promise<void> {
  const { output, signal } = session;
  const { client, kind } = await session.binding();
  const forward = await client.ports.open({ space, port, hostPort }, { signal });
  output.note(`${listenerOf(forward)} leads to ${targetOf(forward)}.`);
  if (kind === "remote") output.note("It listens on the server's machine, not on this one.");
  output.result(forward, () => `${listenerOf(forward)}\n`);
}

async function listPorts(session: Session, space: string): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  const listed = await client.ports.list({ space }, { signal });
  const { items } = listed;
  if (items.length === 0) output.note(`${space} has no forwards.`);
  output.result(listed, () =>
    items.length === 0
      ? ""
      : table(
          ["LISTENS", "LEADS TO", "STATE", "CREATED"],
          items.map((forward) => [
            listenerOf(forward),
            targetOf(forward),
            forward.state,
            ago(forward.createdAt),
          ]),
          (title) => output.style("stdout", "bold", title),
        ),
  );
}

async function stopPort(
  session: Session,
  space: string,
  localPort: number,
  host: boolean | undefined,
): Promise<void> {
  const { output, signal } = session;
  const client = await session.client();
  await client.ports.stop({ space, localPort, host }, { signal });
  if (output.isJson) output.json({});
  else output.note(`Ended the forward of ${host === true ? "127.0.0.1" : space}:${localPort}.`);
}

/** Where a forward listens: a space's name or the host's address, and the port. */
function listenerOf({ source, localPort }: Forward): string {
  return `${source?.name ?? "127.0.0.1"}:${localPort}`;
}

function targetOf({ remote, remotePort }: Forward): string {
  return `${remote.name}:${remotePort}`;
}
