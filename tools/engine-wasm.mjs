/**
 * Fits QuickJS's WebAssembly binary to its host: exports its function table, where the interpreter's
 * worker puts a function through which the engine tells of unhandled rejections; and lets an instance
 * begin with less memory than the binary asks for.
 */
const IMPORT_SECTION = 2;
const EXPORT_SECTION = 7;
const TABLE_KIND = 1;
const MEMORY_KIND = 2;

function readNumber(bytes, at) {
  let value = 0;
  let shift = 0;
  let next = at;
  for (;;) {
    const byte = bytes[next];
    next += 1;
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) return { value: value >>> 0, next };
    shift += 7;
  }
}

function number(value) {
  const bytes = [];
  let rest = value;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** The binary with one section's body replaced by what `change` makes of it. */
function changeSection(wasm, wanted, change) {
  for (let at = 8; at < wasm.length; ) {
    const size = readNumber(wasm, at + 1);
    const end = size.next + size.value;
    if (wasm[at] === wanted) {
      const body = change(wasm.subarray(size.next, end));
      const head = Buffer.from([wanted, ...number(body.length)]);
      return Buffer.concat([wasm.subarray(0, at), head, body, wasm.subarray(end)]);
    }
    at = end;
  }
  throw new Error(`The binary has no section ${wanted}.`);
}

/** A section of exports with one more: table 0, by the given name. */
function withTable(body, name) {
  const count = readNumber(body, 0);
  const text = new TextEncoder().encode(name);
  const entry = [...number(text.length), ...text, TABLE_KIND, 0];
  return Buffer.concat([
    Buffer.from(number(count.value + 1)),
    body.subarray(count.next),
    Buffer.from(entry),
  ]);
}

/** A section of imports whose memory may begin with `pages`. */
function withInitialPages(body, pages) {
  const count = readNumber(body, 0);
  let at = count.next;
  for (let index = 0; index < count.value; index += 1) {
    for (let part = 0; part < 2; part += 1) {
      const length = readNumber(body, at);
      at = length.next + length.value;
    }
    const kind = body[at];
    if (kind === MEMORY_KIND) {
      const minimum = readNumber(body, at + 2);
      return Buffer.concat([
        body.subarray(0, at + 2),
        Buffer.from(number(pages)),
        body.subarray(minimum.next),
      ]);
    }
    // What stands before the memory are functions, by the number of their type.
    if (kind !== 0) throw new Error(`An import of kind ${kind} was not expected.`);
    at = readNumber(body, at + 1).next;
  }
  throw new Error("The binary imports no memory.");
}

/**
 * The binary as the interpreter's worker loads it.
 *
 * @param {Uint8Array} wasm
 * @param {{ tableName: string, initialPages: number }} options
 * @returns {Uint8Array}
 */
export function fitEngine(wasm, { tableName, initialPages }) {
  const exported = changeSection(wasm, EXPORT_SECTION, (body) => withTable(body, tableName));
  return changeSection(exported, IMPORT_SECTION, (body) => withInitialPages(body, initialPages));
}
