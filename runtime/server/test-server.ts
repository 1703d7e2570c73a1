/** Opens servers for tests, each on a data directory of its own, and speaks to them. */
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEngineHost } from "../bindings/in-process.js";
import type { Client } from "../contract/contract.js";
import { localActor } from "../engine/identity/local-user.js";
import { openServer, type Server, type ServerOptions } from "./server.js";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads answers of every shape
  readonly body: any;
}

/** The code of the error that a response carries. */
export async function codeOf(response: Response): Promise<string> {
  return ((await response.json()) as { code: string }).code;
}

export interface Call {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /** The administrator's when absent; null for none. */
  readonly token?: string | null;
  readonly signal?: AbortSignal;
}

export interface TestServer extends AsyncDisposable {
  readonly server: Server;
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly adminToken: string;
  /** Calls a path of the server; JSON answers are parsed. */
  call(method: string, path: string, call?: Call): Promise<Answer>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** Sends text as it is; gives all that comes back until the connection closes. */
  raw(text: string): Promise<string>;
  /** A user with these permissions; gives a token. */
  addUser(name: string, permissions: readonly string[]): Promise<string>;
  /** A second server on the same data directory. */
  another(options?: Partial<ServerOptions>): Promise<TestServer>;
}

/** Opens a server; disposing deletes all its spaces. */
export async function openTestServer(options: Partial<ServerOptions> = {}): Promise<TestServer> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), "spaces-server-")));
  const server = await openServer({ driver: "virtual", port: 0, dataDir, ...options });
  const made = new TestServerOn(
    server,
    dataDir,
    server.adminToken ?? "",
    options.dataDir === undefined,
  );
  return made;
}

class TestServerOn implements TestServer {
  readonly port: number;
  readonly #others: TestServer[] = [];

  constructor(
    readonly server: Server,
    readonly dataDir: string,
    readonly adminToken: string,
    readonly ownsData: boolean,
  ) {
    this.port = server.url.startsWith("unix:") ? 0 : Number(new URL(server.url).port);
  }

  get url(): string {
    return this.server.url;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (!headers.has("authorization") && this.adminToken !== "") {
      headers.set("authorization", `Bearer ${this.adminToken}`);
    }
    return await fetch(this.url + path, { ...init, headers });
  }

  async call(
    method: string,
    path: string,
    { body, headers, token, signal }: Call = {},
  ): Promise<Answer> {
    const secret = token === undefined ? this.adminToken : token;
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(secret === null || secret === "" ? {} : { authorization: `Bearer ${secret}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") === true;
    return {
      status: response.status,
      headers: response.headers,
      body: isJson ? JSON.parse(text) : text,
    };
  }

  raw(text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = "";
      const socket = connect(this.port, "127.0.0.1", () => socket.write(text));
      socket.setEncoding("latin1").on("data", (piece: string) => {
        answer += piece;
      });
      socket.on("close", () => resolve(answer));
      socket.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "ECONNRESET" && error.code !== "EPIPE") reject(error);
      });
    });
  }

  async addUser(name: string, permissions: readonly string[]): Promise<string> {
    const role = `role-of-${name}`;
    const save = await this.call("PUT", `/v1/roles/${role}`, { body: { permissions } });
    const user = await this.call("POST", "/v1/users", { body: { name, roles: [role] } });
    const made = await this.call("POST", "/v1/tokens", { body: { name: "test", user: name } });
    if (made.status !== 201) throw new Error(JSON.stringify([save.body, user.body, made.body]));
    return made.body.token;
  }

  async another(options: Partial<ServerOptions> = {}): Promise<TestServer> {
    const server = await openServer({
      driver: "virtual",
      port: 0,
      ...options,
      dataDir: this.dataDir,
    });
    const other = new TestServerOn(server, this.dataDir, this.adminToken, false);
    this.#others.push(other);
    return other;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const other of this.#others) await other[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    if (!this.ownsData) return;
    const host = await openEngineHost({ dataDir: this.dataDir, driver: "virtual" });
    const client: Client = host.clientFor({ actor: localActor(), depth: 0, local: true });
    for (const { id } of (await client.spaces.list({ all: true })).items) {
      await client.spaces.delete({ space: id, force: true });
    }
    await host[Symbol.asyncDispose]();
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
