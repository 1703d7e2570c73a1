/**
 * The globals `fetch`, `Headers`, `Request` and `Response`. The request itself is made by the host
 * (`runtime/interpreter/fetch.ts`), which checks whether the script may reach the address. Bodies
 * are whole: there are no streams.
 */
import { type BytesLike, bytesOf, fromBinary, isBytes, toBinary } from "../binary.js";
import type { GroupHost } from "../globals.js";
import { Headers } from "../headers.js";
import type { AbortSignal } from "./events.js";

/** A body as text, or as base64 of its bytes. */
type Content = { readonly text: string } | { readonly base64: string } | null;

interface RequestInit {
  method?: unknown;
  headers?: unknown;
  body?: unknown;
  redirect?: unknown;
  signal?: AbortSignal | null;
}

interface ResponseInit {
  status?: unknown;
  statusText?: unknown;
  headers?: unknown;
}

interface Answer {
  readonly status: number;
  readonly statusText: string;
  readonly headers: [string, string][];
  readonly body: string;
  readonly url: string;
  readonly redirected: boolean;
  /** Set instead of the rest when the address could not be reached. */
  readonly failure?: string;
}

const EMPTY_STATUS = [101, 103, 204, 205, 304];

export default function makeFetch({ native, callAsync, use }: GroupHost) {
  const encode = (bytes: Uint8Array) => native("text.btoa", { text: toBinary(bytes) }) as string;
  const decode = (base64: string) => fromBinary(native("text.atob", { text: base64 }) as string);

  /** Reads a body as given; sets the content type that goes with its kind. */
  function contentOf(body: unknown, headers: Headers): Content {
    if (body === null || body === undefined) return null;
    if (isBytes(body)) return { base64: encode(bytesOf(body as BytesLike)) };
    const params = Object.prototype.toString.call(body) === "[object URLSearchParams]";
    if (!headers.has("content-type")) {
      headers.set(
        "content-type",
        params ? "application/x-www-form-urlencoded;charset=UTF-8" : "text/plain;charset=UTF-8",
      );
    }
    return { text: String(body) };
  }

  class Body {
    #content: Content;
    #used = false;
    readonly headers: Headers;

    constructor(content: Content, headers: Headers) {
      this.#content = content;
      this.headers = headers;
    }

    get bodyUsed() {
      return this.#used;
    }

    #take(): Content {
      if (this.#used) throw new TypeError("The body was read already.");
      this.#used = this.#content !== null;
      return this.#content;
    }

    async text(): Promise<string> {
      const content = this.#take();
      if (content === null) return "";
      if ("text" in content) return content.text.toWellFormed();
      return native("text.decodeBase64", { base64: content.base64 }) as string;
    }

    async json(): Promise<unknown> {
      return JSON.parse(await this.text());
    }

    async bytes(): Promise<Uint8Array> {
      const content = this.#take();
      if (content === null) return new Uint8Array();
      const base64 =
        "text" in content ? native("text.encodeBase64", { text: content.text }) : content.base64;
      return decode(base64 as string);
    }

    async arrayBuffer(): Promise<ArrayBufferLike> {
      return (await this.bytes()).buffer;
    }

    /** The body for a copy; both can be read then. */
    static peek(body: Body): Content {
      if (body.#used) throw new TypeError("The body was read already: it cannot be cloned.");
      return body.#content;
    }

    /** The body in the form in which it goes to the host. */
    static base64(body: Body): string | undefined {
      const content = body.#take();
      if (content === null) return undefined;
      if ("base64" in content) return content.base64;
      return native("text.encodeBase64", { text: content.text }) as string;
    }
  }

  class Request extends Body {
    readonly url: string;
    readonly method: string;
    readonly redirect: string;
    readonly signal: AbortSignal | undefined;

    constructor(input: unknown, init: RequestInit = {}) {
      const from = input instanceof Request ? input : undefined;
      const headers = new Headers(init.headers ?? from?.headers);
      const content =
        init.body === undefined && from ? Body.peek(from) : contentOf(init.body, headers);
      super(content, headers);
      const { URL } = use("url") as { URL: new (url: string) => { readonly href: string } };
      this.url = from?.url ?? new URL(String(input)).href;
      const method = String(init.method ?? from?.method ?? "GET");
      this.method = /^(delete|get|head|options|post|put|patch)$/i.test(method)
        ? method.toUpperCase()
        : method;
      this.redirect = String(init.redirect ?? from?.redirect ?? "follow");
      if (!["follow", "error", "manual"].includes(this.redirect)) {
        throw new TypeError(`Request has no redirect mode "${this.redirect}".`);
      }
      this.signal = init.signal === null ? undefined : (init.signal ?? from?.signal);
      if (content !== null && (this.method === "GET" || this.method === "HEAD")) {
        throw new TypeError(`A ${this.method} request cannot have a body.`);
      }
    }

    clone(): Request {
      return new Request(this);
    }
  }

  class Response extends Body {
    readonly status: number;
    readonly statusText: string;
    readonly url: string = "";
    readonly redirected: boolean = false;
    readonly type: string = "default";

    constructor(body?: unknown, init: ResponseInit = {}) {
      const headers = new Headers(init.headers ?? undefined);
      const status = Number(init.status ?? 200);
      if (!Number.isInteger(status) || status < 200 || status > 599) {
        throw new RangeError(`Response cannot have the status ${String(init.status)}.`);
      }
      const content = contentOf(body, headers);
      if (content !== null && EMPTY_STATUS.includes(status)) {
        throw new TypeError(`A response of status ${status} cannot have a body.`);
      }
      super(content, headers);
      this.status = status;
      this.statusText = String(init.statusText ?? "");
    }

    get ok() {
      return this.status >= 200 && this.status < 300;
    }

    clone(): Response {
      return build(Body.peek(this), this, this);
    }

    static json(data: unknown, init: ResponseInit = {}): Response {
      const headers = new Headers(init.headers ?? undefined);
      if (!headers.has("content-type")) headers.set("content-type", "application/json");
      return new Response(JSON.stringify(data), { ...init, headers });
    }

    static redirect(url: unknown, status: unknown = 302): Response {
      return new Response(null, { status, headers: { location: String(url) } });
    }
  }

  /** A response with everything as it came, past the checks for those that scripts make. */
  function build(
    content: Content,
    init: { status: number; statusText: string; headers: Headers },
    from: { url: string; redirected: boolean; type?: string },
  ): Response {
    const headers = new Headers(init.headers);
    const response = Reflect.construct(Body, [content, headers], Response) as Response;
    const { status, statusText } = init;
    const { url, redirected, type = "basic" } = from;
    return Object.assign(response, { status, statusText, url, redirected, type });
  }

  let lastId = 0;

  async function send(request: Request, id: number): Promise<Response> {
    const answer = (await callAsync("fetch", {
      id,
      url: request.url,
      method: request.method,
      headers: [...request.headers],
      body: Body.base64(request),
      redirect: request.redirect,
    })) as Answer;
    if (answer.failure !== undefined) {
      throw new TypeError(`fetch failed: ${answer.failure}`, { cause: new Error(answer.failure) });
    }
    const content = answer.body === "" ? null : { base64: answer.body };
    return build(content, { ...answer, headers: new Headers(answer.headers) }, answer);
  }

  async function fetch(input: unknown, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init);
    const { signal } = request;
    lastId += 1;
    const id = lastId;
    if (signal === undefined) return send(request, id);
    signal.throwIfAborted();
    let stop: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => {
        reject(signal.reason);
        // The host need not go on; nobody waits for what it says to this.
        callAsync("fetch", { cancel: id }).catch(() => undefined);
      };
      signal.addEventListener("abort", stop);
    });
    try {
      return await Promise.race([send(request, id), aborted]);
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  return { Headers, Request, Response, fetch };
}
