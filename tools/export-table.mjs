/**
 * Adds one export to a WebAssembly binary: its function table. The interpreter's worker puts a
 * function of its own there, through which the engine tells of unhandled rejections.
 */
const EXPORT_SECTION = 7;
const TABLE_KIND = 1;

function readNumber(bytes, at) {
  let value = 0;
  let shift = 0;
  let next = at;
  for (;;) {
    const byte = bytes[next];
    next += 1;
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) {
      return { value: value >>> 0, next };
    }
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

/**
 * The binary with table 0 exported.
 *
 * @param {Uint8Array} wasm
 * @param {string} name name of the new export
 * @returns {Uint8Array}
 */
export function exportTable(wasm, name) {
  let at = 8;
  while (at < wasm.length) {
    const id = wasm[at];
    const size = readNumber(wasm, at + 1);
    const end = size.next + size.value;
    if (id === EXPORT_SECTION) {
      const count = readNumber(wasm, size.next);
      const text = new TextEncoder().encode(name);
      const entry = [...number(text.length), ...text, TABLE_KIND, 0];
      const body = Buffer.concat([
        Buffer.from(number(count.value + 1)),
        wasm.subarray(count.next, end),
        Buffer.from(entry),
      ]);
      const head = Buffer.from([EXPORT_SECTION, ...number(body.length)]);
      return Buffer.concat([wasm.subarray(0, at), head, body, wasm.subarray(end)]);
    }
    at = end;
  }
  throw new Error("The binary has no export section.");
}
