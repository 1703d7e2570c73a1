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
  const scratch = scratchRows(join(stage.temp, "scratch.db"));
  const { client } = binding;
  try {
    const creations = await interleave(
      {
        ours: (round) => timed(() => createSpace(client, round)),
        sql: () => timed(scratch.insert),
      },
      { rounds: SPACES, warmup: 0 },
    );
    const host = hostCallFor(async () => client);
    const lists = await interleave(
      {
        ours: () => timed(() => listAll(client)),
        script: () => timed(() => listInScript(interpreter, host)),
        sql: () => timed(() => readRows(dataDir)),
      },
      { rounds: quick ? 5 : 50, warmup: 2 },
    );
    const transitions = await interleave(
      {
        ours: () => timed(() => startAndStop(client, "space-0")),
        sql: () => timed(scratch.updateTwice),
      },
      { rounds: quick ? 10 : 100, warmup: 2 },
    );
    return rowsOf({ lists, creations, transitions });
  } finally {
    scratch.close();
    await interpreter[Symbol.asyncDispose]();
    await binding[Symbol.asyncDispose]();
  }
}

async function createSpace(client, index) {
  await client.spaces.create({ name: `space-${index}`, metadata: { batch: `${index % 10}` } });
}

async function startAndStop(client, space) {
  await client.spaces.start({ space });
  await client.spaces.stop({ space });
}

async function listAll(client) {
  const { items } = await client.spaces.list({ limit: SPACES });
  if (items.length !== SPACES) throw new Error(`the list has ${items.length} spaces`);
}

async function listInScript(interpreter, host) {
  const source = `import spaces from "spaces";
console.log(spaces.list({ limit: ${SPACES} }).length);`;
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

/** A bare database with the store's settings: what one committed change costs on this disk. */
function scratchRows(file) {
  const database = new Database(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = NORMAL");
  database.exec("CREATE TABLE rows (id INTEGER PRIMARY KEY, status TEXT)");
  const insert = database.prepare("INSERT INTO rows (status) VALUES ('stopped')");
  const update = database.prepare("UPDATE rows SET status = ? WHERE id = 1");
  return {
    insert: () => insert.run(),
    updateTwice: () => {
      update.run("running");
      update.run("stopped");
    },
    close: () => database.close(),
  };
}

function rowsOf({ lists, creations, transitions }) {
  const list = (what, name) =>
    row({
      what,
      unit: "ms",
      ours: lists[name].p50,
      peer: { name: "the bare SQL query", value: lists.sql.p50 },
      samples: { ours: lists[name], peer: lists.sql },
    });
  const rate = (what, taken, changes, name) =>
    row({
      what,
      unit: "/s",
      better: "more",
      ours: (1000 / taken.ours.mean) * changes,
      peer: { name, value: (1000 / taken.sql.mean) * changes },
      samples: { ours: taken.ours, peer: taken.sql },
    });
  return [
    list(`list of ${SPACES} spaces, p50`, "ours"),
    list("the same from a script, p50", "script"),
    rate("spaces created per second, virtual", creations, 1, "bare SQL inserts"),
    rate("starts and stops per second, virtual, one space", transitions, 2, "bare SQL updates"),
  ];
}
