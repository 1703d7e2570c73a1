/** The globals as scripts meet them, each against what Node does with the same code. */
import { afterAll, describe, expect, it } from "vitest";
import { createInterpreter } from "./interpreter.js";

const interpreter = createInterpreter();
afterAll(() => interpreter[Symbol.asyncDispose]());

async function evaluate(expression: string, net?: readonly string[]): Promise<unknown> {
  const result = await interpreter.run({
    filename: "script.js",
    source: `console.log(JSON.stringify(await (async () => (${expression}))()) ?? "null");`,
    permissions: { net },
    host: async () => ({}),
  });
  if (result.error) throw new Error(result.error.message);
  return JSON.parse(result.output);
}

/** Evaluates in Node; the expressions are the literals below. */
const inNode = (expression: string): Promise<unknown> =>
  new Function(`return (async () => (${expression}))()`)() as Promise<unknown>;

const caught = (expression: string) =>
  `(() => { try { ${expression}; } catch (e) { return [e.name, e.code ?? null]; } })()`;

describe("the same as in Node", () => {
  it.each([
    // Text
    `[...new TextEncoder().encode("aé€😀\\ud800z")]`,
    `new TextEncoder().encodeInto("aé€", new Uint8Array(4))`,
    `new TextDecoder().decode(new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff]))`,
    `new TextDecoder("utf-8", { ignoreBOM: true }).decode(new Uint8Array([0xef, 0xbb, 0xbf])).length`,
    `new TextDecoder("latin1").encoding + new TextDecoder("utf-16le").decode(new Uint8Array([97, 0]))`,
    `(() => { const d = new TextDecoder(); let s = ""; for (const b of new TextEncoder().encode("a😀€b")) s += d.decode(new Uint8Array([b]), { stream: true }); return s + d.decode(); })()`,
    caught(`new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([0xff]))`).replace(
      "e.code ?? null",
      "0",
    ),
    `[atob("aGk="), btoa("hi\\xff"), atob(" a G k ")]`,
    caught(`atob("*")`),
    caught(`btoa("€")`),
    // URL
    `JSON.stringify(new URL("../x?q=é#h", "HTTP://User:p@Example.org:80/a/b/"))`,
    `["http://127.1/", "http://0x7f.1/", "http://[::ffff:7f00:1]/"].map((u) => new URL(u).hostname)`,
    `(() => { const u = new URL("http://x/?a=1"); u.searchParams.append("b", "2 &"); u.hash = "z"; u.port = "81"; u.protocol = "https"; return u.href; })()`,
    `(() => { const u = new URL("http://x/?a=1"); const p = u.searchParams; u.search = "?c=3"; return [p.get("c"), p.has("a"), p.size]; })()`,
    `[...new URLSearchParams("?a=1&b=%20+&a=2")]`,
    `(() => { const p = new URLSearchParams({ b: "1", a: "2" }); p.append("b", "3"); p.sort(); p.set("b", "x"); p.delete("a"); return p.toString(); })()`,
    `[URL.canParse("x"), URL.canParse("x", "http://y")]`,
    caught(`new URL("no")`),
    `Object.prototype.toString.call(new URL("http://x"))`,
    // structuredClone
    `(() => { const a = { d: new Date(0), r: /x/gi, m: new Map([[1, { s: new Set([2]) }]]) }; a.self = a; const b = structuredClone(a); return [b.self === b, b !== a, b.d.getTime(), String(b.r), [...b.m.get(1).s]]; })()`,
    `(() => { const e = structuredClone(new RangeError("far", { cause: 1 })); return [e instanceof RangeError, e.message, e.cause]; })()`,
    `[...new Uint16Array(structuredClone(new Uint8Array([1, 0, 2, 0])).buffer)]`,
    `(() => { const shared = []; const c = structuredClone([shared, shared]); return c[0] === c[1]; })()`,
    `(() => { class A { x = 1; get y() { return 2; } } const c = structuredClone(new A()); return [c.constructor === Object, c]; })()`,
    caught(`structuredClone(() => 1)`),
    caught(`structuredClone({ s: Symbol("x") })`),
    `(() => { const b = new ArrayBuffer(4); const c = structuredClone(b, { transfer: [b] }); return [b.byteLength, c.byteLength]; })()`,
    // Events
    `(() => { const t = new EventTarget(), seen = []; const h = { handleEvent(e) { seen.push(e.type, this === h, e.target === t); } }; t.addEventListener("x", h); t.addEventListener("x", h); t.addEventListener("x", (e) => e.preventDefault(), { once: true }); const first = t.dispatchEvent(new Event("x", { cancelable: true })); const second = t.dispatchEvent(new Event("x", { cancelable: true })); return [seen, first, second]; })()`,
    `(() => { const t = new EventTarget(), seen = []; t.addEventListener("x", (e) => { seen.push(1); e.stopImmediatePropagation(); }); t.addEventListener("x", () => seen.push(2)); t.dispatchEvent(new Event("x")); return seen; })()`,
    `(() => { const c = new AbortController(), t = new EventTarget(); let n = 0; t.addEventListener("x", () => n++, { signal: c.signal }); t.dispatchEvent(new Event("x")); c.abort(); t.dispatchEvent(new Event("x")); return n; })()`,
    `(() => { const c = new AbortController(); let n = 0; c.signal.onabort = () => n++; c.abort("why"); c.abort("again"); return [n, c.signal.aborted, c.signal.reason]; })()`,
    `[AbortSignal.abort().reason.name, AbortSignal.abort().reason instanceof DOMException]`,
    `new Promise((resolve) => { const s = AbortSignal.timeout(1); s.onabort = () => resolve([s.reason.name, s.reason.code]); })`,
    `(() => { const a = new AbortController(); const s = AbortSignal.any([a.signal, new AbortController().signal]); a.abort(5); return [s.aborted, s.reason]; })()`,
    caught(`AbortSignal.abort().throwIfAborted()`),
    caught(`new AbortSignal()`).replace("e.code ?? null", "0"),
    `new DOMException("m", "AbortError").code`,
    // crypto, performance
    caught(`crypto.getRandomValues(new Float32Array(1))`),
    caught(`crypto.getRandomValues(new Uint8Array(65537))`),
    `/^[0-9a-f-]{36}$/.test(crypto.randomUUID())`,
    `new Set(crypto.getRandomValues(new Uint8Array(4096))).size > 200`,
    `performance.now() >= 0`,
    // Intl
    `[(1234567.891).toLocaleString("de-DE"), (-0).toLocaleString("en"), NaN.toLocaleString("en"), (12345678901234567890n).toLocaleString("en")]`,
    `new Intl.NumberFormat("en-US", { style: "currency", currency: "EUR" }).format(1234.5)`,
    `new Date(0).toLocaleString("en-GB", { timeZone: "UTC" }) + new Date(0).toLocaleDateString("ja", { timeZone: "UTC" }) + new Date(0).toLocaleTimeString("en-US", { timeZone: "Asia/Tokyo" })`,
    `new Date(NaN).toLocaleString()`,
    `new Intl.DateTimeFormat("en", { dateStyle: "full", timeZone: "UTC" }).formatToParts(new Date(0))`,
    `[new Intl.PluralRules("en", { type: "ordinal" }).select(2), new Intl.ListFormat("en").format(["a", "b", "c"]), new Intl.RelativeTimeFormat("en").format(-1, "day")]`,
    `["b", "a", "Ä"].sort(new Intl.Collator("de").compare)`,
    caught(`new Intl.NumberFormat("en", { style: "currency" })`).replace("e.code ?? null", "0"),
    // Headers, Request, Response
    `[...new Headers([["B", "1"], ["a", "2"], ["b", " 3 "], ["Set-Cookie", "x"], ["set-cookie", "y"]])]`,
    caught(`new Headers({ "a b": "c" })`).replace("e.code ?? null", "0"),
    caught(`new Headers({ a: "b\\r\\nc: d" })`).replace("e.code ?? null", "0"),
    `(async () => { const r = new Response("hé", { status: 201, headers: { x: "y" } }); const c = r.clone(); return [r.ok, r.status, await r.text(), r.bodyUsed, await c.text(), c.headers.get("x"), c.headers.get("content-type")]; })()`,
    `(async () => { const r = new Response("x"); await r.text(); return r.text().then(() => 0, (e) => e.name); })()`,
    `(async () => [await Response.json({ a: 1 }).json(), [...new Uint8Array(await new Response(new Uint8Array([1, 255])).arrayBuffer())]])()`,
    `(() => { const r = new Request("http://x/a", { method: "post", body: "b", headers: { k: "v" } }); return [r.url, r.method, r.headers.get("k"), r.redirect]; })()`,
    caught(`new Request("http://x", { body: "b" })`).replace("e.code ?? null", "0"),
    // Small ones
    `(() => { const o = {}; Error.captureStackTrace(o); return typeof o.stack; })()`,
    `Object.keys(globalThis).filter((name) => /^(URL|fetch|crypto|Intl|console|Event)$/.test(name)).length * 0`,
  ])("%s", async (expression) => {
    expect(await evaluate(expression)).toEqual(await inNode(expression));
  });
});

it("has Array.fromAsync", async () => {
  const expression = `(async () => [
    await Array.fromAsync((async function* () { yield 1; yield 2; })()),
    await Array.fromAsync([Promise.resolve(3)], async (x) => x * 2),
    await Array.fromAsync({ length: 1, 0: "a" }),
  ])()`;
  expect(await evaluate(expression)).toEqual([[1, 2], [6], ["a"]]);
});

it("names its classes as they are known", async () => {
  const names = ["URL", "Headers", "Response", "AbortSignal", "TextDecoder", "DOMException"];
  expect(await evaluate(`[${names.join(", ")}].map((value) => value.name)`)).toEqual(names);
});

it("lets a script replace a global", async () => {
  expect(await evaluate(`(globalThis.fetch = 5, fetch)`)).toBe(5);
});

describe("fetch", () => {
  it("is denied unless it was allowed", async () => {
    const attempt = `fetch("http://example.org/").catch((e) => [e.name, e.code, e.suggestion])`;
    expect(await evaluate(attempt)).toEqual([
      "SpacesError",
      "PERMISSION_DENIED",
      "Run the script with --allow-net example.org",
    ]);
  });

  it("sends the request and reads the answer", async () => {
    const { createServer } = await import("node:http");
    const server = createServer(async (request, response) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of request) chunks.push(chunk as Uint8Array);
      const body = new TextDecoder().decode(chunks[0]);
      response.setHeader("x-type", String(request.headers["content-type"]));
      response.end(JSON.stringify({ method: request.method, body, é: "ü" }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as { port: number };
      const answer = await evaluate(
        `(async () => { const r = await fetch("http://127.0.0.1:${port}/", { method: "POST", body: "grüße" });
          return [r.ok, r.url, r.headers.get("x-type"), await r.json()]; })()`,
        [`127.0.0.1:${port}`],
      );
      expect(answer).toEqual([
        true,
        `http://127.0.0.1:${port}/`,
        "text/plain;charset=UTF-8",
        { method: "POST", body: "grüße", é: "ü" },
      ]);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });

  it("rejects with a TypeError where the network fails, and with the reason of its signal", async () => {
    const { createServer } = await import("node:http");
    const server = createServer(() => undefined);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const host = `127.0.0.1:${port}`;
    const aborted = await evaluate(
      `fetch("http://${host}/", { signal: AbortSignal.timeout(20) }).catch((e) => e.name)`,
      [host],
    );
    expect(aborted).toBe("TimeoutError");
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const failed = await evaluate(`fetch("http://${host}/").catch((e) => [e.name, e.message])`, [
      host,
    ]);
    expect(failed).toEqual(["TypeError", `fetch failed: GET http://${host} failed (ECONNREFUSED)`]);
  });
});
