/**
 * The agents that hold the connections to a server: kept alive, through a proxy where the environment
 * names one, over a unix socket, with a limit for the time that connecting takes.
 */
import { readFileSync } from "node:fs";
import { type AgentOptions, type ClientRequest, Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity, type PeerCertificate, rootCertificates } from "node:tls";
import { HttpProxyAgent } from "http-proxy-agent";
import { HttpsProxyAgent } from "https-proxy-agent";
import { getProxyForUrl } from "proxy-from-env";
import type { ServerAddress } from "../../config/server-address.js";
import { SpacesError } from "../../contract/errors.js";

/** Connections for calls; what is beyond them waits. */
const MOST_SOCKETS = 256;
/** When a connection is quiet for so long, the system asks whether its other end is still there. */
const PROBE_MS = 15_000;

export interface Agents extends Disposable {
  /** For calls. */
  readonly calls: HttpAgent;
  /** For what holds its connection for long: calls must not wait for its end. */
  readonly streams: HttpAgent;
  /** For WebSockets, which a proxy passes on through a tunnel only. */
  readonly sockets: HttpAgent;
}

/**
 * Makes the agents for a server.
 * @param connectTimeoutMs how long connecting may take, TLS and proxies included
 * @throws SpacesError `INVALID_INPUT` when `SPACES_CA_FILE` or the proxy's URL is of no use
 */
export function createAgents(address: ServerAddress, connectTimeoutMs: number): Agents {
  const options: AgentOptions & { ca?: string[]; socketPath?: string } = {
    keepAlive: true,
    keepAliveMsecs: PROBE_MS,
    maxSockets: MOST_SOCKETS,
    noDelay: true,
  };
  const unlimited = { ...options, maxSockets: Number.POSITIVE_INFINITY };
  const { base, socketPath } = address;
  if (socketPath !== undefined) {
    const local = (of: AgentOptions): HttpAgent =>
      limited(new HttpAgent({ ...of, socketPath } as AgentOptions), connectTimeoutMs);
    return agentsOf(local(options), local(unlimited));
  }
  const authorities = extraAuthorities();
  if (authorities !== undefined) {
    options.ca = authorities;
    unlimited.ca = authorities;
  }
  const proxy = getProxyForUrl(base.href);
  const secure = base.protocol === "https:";
  if (proxy === "") {
    const direct = (of: AgentOptions): HttpAgent =>
      limited(secure ? new HttpsAgent(of) : new HttpAgent(of), connectTimeoutMs);
    return agentsOf(direct(options), direct(unlimited));
  }
  const checked = proxyUrl(proxy);
  const tunnel = (of: AgentOptions): HttpAgent =>
    limited(new TunnelAgent(checked, of), connectTimeoutMs);
  if (secure) return agentsOf(tunnel(options), tunnel(unlimited));
  const forward = (of: AgentOptions): HttpAgent =>
    limited(new HttpProxyAgent(checked, of), connectTimeoutMs);
  return agentsOf(forward(options), forward(unlimited), tunnel(unlimited));
}

/** A tunnel through a proxy, within which the server is trusted as it is without one. */
class TunnelAgent extends HttpsProxyAgent<string> {
  readonly #authorities: readonly string[] | undefined;

  constructor(proxy: URL, options: AgentOptions & { readonly ca?: string[] }) {
    super(proxy, options);
    this.#authorities = options.ca;
  }

  override connect(request: ClientRequest, options: AgentConnectOpts): Promise<Socket> {
    const { host } = options;
    return super.connect(request, {
      ...options,
      ...(this.#authorities === undefined ? {} : { ca: [...this.#authorities] }),
      // Without a name to check, as with an IP address, the tunnel would take a certificate of localhost.
      ...(typeof host === "string" && isIP(host) !== 0
        ? {
            checkServerIdentity: (_name: string, cert: PeerCertificate) =>
              checkServerIdentity(host, cert),
          }
        : {}),
    } as AgentConnectOpts);
  }
}

type AgentConnectOpts = Parameters<HttpsProxyAgent<string>["connect"]>[1];

function agentsOf(calls: HttpAgent, streams: HttpAgent, sockets: HttpAgent = streams): Agents {
  return {
    calls,
    streams,
    sockets,
    [Symbol.dispose]() {
      calls.destroy();
      streams.destroy();
      sockets.destroy();
    },
  };
}

type CreateSocket = (
  request: ClientRequest,
  options: unknown,
  done: (error: Error | null, socket?: Duplex) => void,
) => void;

/** Ends what takes too long until it is connected, for which Node's agents have no setting. */
function limited<A extends HttpAgent>(agent: A, timeoutMs: number): A {
  const inner = agent as unknown as { createSocket: CreateSocket };
  const create = inner.createSocket.bind(agent);
  inner.createSocket = (request, options, done) => {
    const timer = setTimeout(() => {
      const error = new Error("connecting took too long");
      request.destroy(Object.assign(error, { code: "CONNECT_TIMEOUT" }));
    }, timeoutMs);
    const over = (): void => clearTimeout(timer);
    request.once("close", over);
    request.once("socket", (socket) => {
      if (!socket.connecting && !isHandshaking(socket)) return over();
      socket.once("encrypted" in socket ? "secureConnect" : "connect", over);
    });
    create(request, options, done);
  };
  return agent;
}

function isHandshaking(socket: Duplex): boolean {
  return "secureConnecting" in socket && socket.secureConnecting === true;
}

/** The authorities of `SPACES_CA_FILE` beside those that Node knows. */
function extraAuthorities(): string[] | undefined {
  const file = process.env.SPACES_CA_FILE;
  if (!file) return undefined;
  try {
    return [...rootCertificates, readFileSync(file, "utf8")];
  } catch (cause) {
    throw new SpacesError(
      "INVALID_INPUT",
      `SPACES_CA_FILE cannot be read: ${(cause as Error).message}.`,
      { suggestion: "Name a file with certificates in PEM form.", cause },
    );
  }
}

function proxyUrl(proxy: string): URL {
  const url = URL.canParse(proxy) ? new URL(proxy) : undefined;
  if (url !== undefined && (url.protocol === "http:" || url.protocol === "https:")) return url;
  throw new SpacesError("INVALID_INPUT", "The proxy that the environment names cannot be used.", {
    suggestion: "Give HTTPS_PROXY, HTTP_PROXY or ALL_PROXY a URL such as http://proxy:3128.",
  });
}
