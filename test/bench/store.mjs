/** What many spaces cost: a list of a thousand, from the program and from a script, and transitions. */
import { join } from "node:path";
import Database from "libsql";
import { interleave, row, timed } from "./harness.mjs";

const SPACES = 1000;

export async function measure({ stage, quick }) {
  const { openBinding } = await stage.load("index");
  const { createInterpreter } = await stage.load("bench-interpreter");
  const { hostCallFor } = await stage.load("bench-host-call");
  const dataDir = join(stage.temp, "store");
  const binding = await openBinding({ binding: "local", driver: "virtual", dataDir });
  const interpreter = createInterpreter();
  const { client } = binding;
  try {
    const creating = await timed(async () => {
      for (let index = 0; index < SPACES; index += 1) {
        await client.spaces.create({ name: `space-${index}`, metadata: { batch: `${index % 10}` } });
      }
    });
    const host = hostCallFor(async () => client);
    const source = 'import spaces from "spaces";\nconsole.log(spaces.list().length);';
    const lists = await interleave(
      {
        ours: () => timed(() => listAll(client)),
        script: () => timed(() => listInScript(interpreter, source, host)),
        sql: () => timed(() => readRows(dataDir)),
      },
      { rounds: quick ? 5 : 50, warmup: 2 },
    );
    const space = "space-0";
    const pairs = quick ? 10 : 50;
    const transitions = await timed(async () => {
      for (let index = 0; index < pairs; index += 1) {
        await client.spaces.start({ space });
        await client.spaces.stop({ space });
      }
    });
    return rowsOf({ lists, creating, transitions, pairs });
  } finally {
    await interpreter[Symbol.asyncDispose]();
    await binding[Symbol.asyncDispose]();
  }
}

async function listAll(client) {
  const { items } = await client.spaces.list({ limit: SPACES });
  if (items.length !== SPACES) throw new Error(`the list has ${items.length} spaces`);
}

async function listInScript(interpreter, source, host) {
  const { output, error } = await interpreter.run({ filename: "bench.js", source, host });
  if (output !== `${SPACES}\n`) throw new Error(`the script failed: ${JSON.stringify(error)}`);
}

/** The rows as SQLite gives them, with a connection of their own. */
function readRows(dataDir) {
  const database = new Database(join(dataDir, "spaces.db"), { readonly: true });
  const rows = database.prepare("SELECT * FROM spaces").all();
  database.close();
  if (rows.length !== SPACES) throw new Error(`the table has ${rows.length} rows`);
}

function rowsOf({ lists, creating, transitions, pairs }) {
  const list = (what, name) =>
    row({
      what,
      unit: "ms",
      ours: lists[name].p50,
      peer: { name: "the bare SQL query", value: lists.sql.p50 },
      samples: { ours: lists[name], peer: lists.sql },
    });
  return [
    list(`list of ${SPACES} spaces, p50`, "ours"),
    list(`the same from a script, p50`, "script"),
    row({
      what: "spaces created per second, virtual",
      unit: "/s",
      better: "more",
      ours: (SPACES / creating) * 1000,
    }),
    row({
      what: "starts and stops per second, virtual, one space",
      unit: "/s",
      better: "more",
      ours: ((pairs * 2) / transitions) * 1000,
    }),
  ];
}
