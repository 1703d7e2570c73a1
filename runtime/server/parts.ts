/** What every part of the server works with. `server.ts` makes it. */
import type { EngineHost } from "../bindings/in-process.js";
import type { KeptAnswers } from "../engine/kept-answers.js";
import type { Admission } from "./admission.js";
import type { Api } from "./api.js";
import type { ConnectionGuard } from "./connections.js";
import type { ServerLimits } from "./limits.js";
import type { ServerLog } from "./log.js";
import type { McpEndpoint } from "./mcp-endpoint.js";
import type { Metrics } from "./metrics.js";
import type { Origins } from "./origins.js";

export interface ServerParts {
  readonly host: EngineHost;
  readonly auth: "token" | "none";
  readonly publicUrl: string | undefined;
  readonly limits: ServerLimits;
  readonly api: Api;
  readonly origins: Origins;
  readonly admission: Admission;
  readonly answers: KeptAnswers;
  readonly connections: ConnectionGuard;
  readonly mcp: McpEndpoint;
  readonly metrics: Metrics;
  readonly log: ServerLog;
  /** Whether the server is shutting down. */
  readonly isDraining: () => boolean;
}
