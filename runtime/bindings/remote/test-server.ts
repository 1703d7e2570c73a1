/** A server for tests of the remote binding, which answers as the test says: also as no good one would. */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { Binding } from "../binding.js";
import { openRemote, type RemoteOptions } from "./remote.js";

export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

export class TestServer implements AsyncDisposable {
  readonly http: Server;
  readonly requests: IncomingMessage[] = [];
  readonly #bindings: Binding[] = [];
  readonly #sockets = new Set<Duplex>();

  private constructor(http: Server) {
    this.http = http;
    http.on("request", (request) => this.requests.push(request));
    http.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  /** @param answer answers each request; `create` makes a server of another kind, such as with TLS */
  static async open(
    answer: Answer,
    { create = createServer as (listener: RequestListener) => Server, port = 0 } = {},
  ): Promise<TestServer> {
    const server = new TestServer(create(answer));
    await new Promise<void>((resolve, reject) => {
      server.http.once("error", reject);
      server.http.listen(port, "127.0.0.1", () => resolve());
    });
    return server;
  }

  get port(): number {
    return (this.http.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async connect(options: Partial<RemoteOptions> = {}): Promise<Binding> {
    const binding = await openRemote({ ...options, url: options.url ?? this.url });
    this.#bindings.push(binding);
    return binding;
  }

  /** Ends every connection at once, as when the server is killed. */
  breakConnections(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.http.close(resolve));
    this.breakConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const binding of this.#bindings) await binding[Symbol.asyncDispose]();
    if (this.http.listening) await this.close();
  }
}

/** Answers with JSON. */
export function json(
  response: ServerResponse,
  body: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

/** Answers with a problem. */
export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  more: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/problem+json", ...headers });
  response.end(JSON.stringify({ type: "about:blank", title: code, status, code, ...more }));
}
