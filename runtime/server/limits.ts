/** Every limit of the server, in one place. `openServer` takes other values for any of them. */

const KIB = 1024;
const MIB = 1024 * KIB;

export interface ServerLimits {
  /** Bytes of a JSON body: 16 MiB of a file take 22 MiB as base64. Streams of bytes have no limit. */
  readonly bodyBytes: number;
  /** Bytes of the JSON bodies of calls that are under way, together. */
  readonly bodiesPerActorBytes: number;
  readonly bodiesBytes: number;
  /** Bytes of all headers of a request together. */
  readonly headerBytes: number;
  readonly headerCount: number;
  /** Milliseconds in which the headers of a request must have come. */
  readonly headersMs: number;
  /** Milliseconds without a single byte after which a body is given up. */
  readonly bodyStallMs: number;
  /** Milliseconds for which a connection without a request is kept. */
  readonly idleMs: number;
  /** Connections at once; beyond it the one that has idled longest is dropped. */
  readonly connections: number;
  /** Requests of one connection that wait for their answers; who sends more is dropped. */
  readonly pipelined: number;
  /** Milliseconds for which an answer may wait for its reader to take any of it. */
  readonly answerStallMs: number;
  /** Requests of one actor in ten seconds. */
  readonly requestsPer10s: number;
  /** Failed authentications of one address in a minute. */
  readonly failedAuthPerMinute: number;
  /** Calls under way at once, streams left out. */
  readonly callsPerActor: number;
  readonly calls: number;
  /** Streams open at once: followed output, uploads, downloads and attachments. */
  readonly streamsPerActor: number;
  readonly streams: number;
  /** Milliseconds between the comments that keep an idle event stream alive. */
  readonly keepAliveMs: number;
  /** Bytes of one WebSocket message from a client. */
  readonly messageBytes: number;
  /** Bytes that may wait to be sent on a WebSocket before reading of output pauses. */
  readonly unsentBytes: number;
  /** Milliseconds between pings of a WebSocket; one unanswered ends it. */
  readonly pingMs: number;
  /** Bytes of the body of an MCP request. */
  readonly mcpBodyBytes: number;
  /** MCP sessions of one token, and of all. */
  readonly mcpSessionsPerActor: number;
  readonly mcpSessions: number;
  /** Milliseconds for which an MCP session may be without a connection. */
  readonly mcpIdleMs: number;
  /** As `mcpIdleMs`, while calls are under way: what they do is cancelled then. */
  readonly mcpAbandonedMs: number;
  /** Milliseconds for which the answer to an idempotency key is kept. */
  readonly keptAnswerMs: number;
  /** Milliseconds between rounds of the work that a server does by itself. */
  readonly upkeepMs: number;
}

export const SERVER_LIMITS: ServerLimits = {
  bodyBytes: 32 * MIB,
  bodiesPerActorBytes: 128 * MIB,
  bodiesBytes: 512 * MIB,
  headerBytes: 16 * KIB,
  headerCount: 100,
  headersMs: 10_000,
  bodyStallMs: 30_000,
  idleMs: 65_000,
  connections: 4096,
  pipelined: 32,
  answerStallMs: 30_000,
  requestsPer10s: 100_000,
  failedAuthPerMinute: 60,
  callsPerActor: 256,
  calls: 1024,
  streamsPerActor: 1536,
  streams: 3072,
  keepAliveMs: 15_000,
  messageBytes: MIB,
  unsentBytes: MIB,
  pingMs: 30_000,
  mcpBodyBytes: 10 * MIB,
  mcpSessionsPerActor: 32,
  mcpSessions: 256,
  mcpIdleMs: 1_800_000,
  mcpAbandonedMs: 60_000,
  keptAnswerMs: 86_400_000,
  upkeepMs: 5_000,
};
