/** Port forwards between two spaces, beside the loopback of one of them. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { interleave, row, skipped } from "./harness.mjs";

const TRANSFER_MB = 400;

/** Runs inside of a space: serves zeros on one port and echoes on another. */
const SERVER = `
import socket, threading
def serve(port, handle):
    server = socket.create_server(("127.0.0.1", port), backlog=1024)
    while True:
        connection, _ = server.accept()
        threading.Thread(target=handle, args=(connection,), daemon=True).start()
def zeros(connection):
    with connection:
        left = int(connection.recv(32)) * 1000000
        block = bytes(262144)
        while left > 0:
            left -= connection.send(block[:left])
def echo(connection):
    with connection:
        while data := connection.recv(64):
            connection.send(data)
threading.Thread(target=serve, args=(3000, zeros), daemon=True).start()
print("ready", flush=True)
serve(3001, echo)
`;

/** Runs inside of a space: `rate PORT MB` prints MB/s, `connect PORT COUNT` microseconds. */
const CLIENT = `
import socket, sys, time
kind, port, amount = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def dial():
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
if kind == "rate":
    with dial() as connection:
        connection.send(str(amount).encode())
        got, start, room = 0, time.perf_counter(), bytearray(262144)
        while count := connection.recv_into(room):
            got += count
        print(got / 1e6 / (time.perf_counter() - start))
else:
    times = []
    for _ in range(amount):
        start = time.perf_counter()
        with dial() as connection:
            connection.send(b"x")
            connection.recv(1)
        times.append((time.perf_counter() - start) * 1e6)
    print(sorted(times)[len(times) // 2])
`;

export async function measure({ stage, quick }) {
  if (spawnSync("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"]).status !== 0) {
    return [skipped("port forwards", "bwrap cannot make a namespace here")];
  }
  const { openBinding } = await stage.load("index");
  const dataDir = join(stage.temp, "ports");
  const binding = await openBinding({ binding: "local", driver: "bubblewrap", dataDir });
  const { client } = binding;
  try {
    for (const name of ["web", "api"]) {
      const { workspace } = await client.spaces.create({ name });
      await client.spaces.start({ space: name });
      await writeFile(join(workspace, "client.py"), CLIENT);
      await writeFile(join(workspace, "server.py"), SERVER);
    }
    await serve(client);
    await client.ports.forward({ space: "web", localPort: 3000, remote: "api", remotePort: 3000 });
    await client.ports.forward({ space: "web", localPort: 3001, remote: "api", remotePort: 3001 });
    const ask = async (space, ...args) => {
      const program = { space, command: "python3", args: ["client.py", ...args.map(String)] };
      return Number((await client.processes.run({ ...program, timeoutMs: 60_000 })).stdout);
    };
    const megabytes = quick ? 50 : TRANSFER_MB;
    const rate = await interleave(
      {
        ours: () => ask("web", "rate", 3000, megabytes),
        direct: () => ask("api", "rate", 3000, megabytes),
      },
      { rounds: quick ? 2 : 7 },
    );
    const connect = await interleave(
      {
        ours: () => ask("web", "connect", 3001, quick ? 100 : 500),
        direct: () => ask("api", "connect", 3001, quick ? 100 : 500),
      },
      { rounds: quick ? 2 : 7 },
    );
    return rowsOf({ rate, connect });
  } finally {
    for (const { id } of (await client.spaces.list({})).items) {
      await client.spaces.delete({ space: id, force: true });
    }
    await binding[Symbol.asyncDispose]();
  }
}

async function serve(client) {
  const { id } = await client.processes.start({
    space: "api",
    command: "python3",
    args: ["server.py"],
  });
  for await (const event of await client.processes.follow({ space: "api", process: id })) {
    if (event.type === "stdout") return;
    if (event.type === "exit") throw new Error(`the server ended with ${event.exitCode}`);
  }
}

function rowsOf({ rate, connect }) {
  return [
    row({
      what: "port forward between two spaces: throughput, p50",
      unit: "MB/s",
      ours: rate.ours.p50,
      peer: { name: "loopback of one space", value: rate.direct.p50 },
      better: "more",
      budget: { timesBetter: 0.5 },
      samples: { ours: rate.ours, peer: rate.direct },
    }),
    row({
      what: "port forward: connect + 1 byte there and back, p50",
      unit: "µs",
      ours: connect.ours.p50,
      peer: { name: "loopback of one space", value: connect.direct.p50 },
      samples: { ours: connect.ours, peer: connect.direct },
    }),
  ];
}
