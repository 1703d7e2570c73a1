/** What a script may do of what its starter may: in a sandbox by its context, natively by a token. */
import { SpacesError } from "../contract/errors.js";
import type { Permission } from "../contract/permissions.js";
import type { CallContext, EngineParts } from "./context.js";
import { within } from "./identity/principals.js";
import type { Tokens } from "./identity/tokens.js";

/** How much longer than its script a token lives, for a server's clock and the script's end. */
const MARGIN_MS = 10_000;

/** The context of a script that is granted these permissions; all of its starter's without a grant. */
export function granted(
  context: CallContext,
  grant: readonly Permission[] | undefined,
): CallContext {
  if (grant === undefined) return context;
  const permissions = within(context.actor.permissions, new Set(grant));
  return {
    ...context,
    granted: true,
    actor: { ...context.actor, permissions, scope: permissions },
  };
}

/** A native script's way to what it was granted. Disposing takes it away. */
export interface GrantedAccess extends AsyncDisposable {
  readonly env: Readonly<Record<string, string>>;
  /** What must not be seen in the script's output. */
  readonly secrets: readonly string[];
}

/**
 * Makes the token of a native script, and the environment by which the script finds the server.
 * @param script the script's name
 * @param timeoutMs how long it runs at most
 * @throws SpacesError `UNSUPPORTED` where no server is known that a space could reach
 */
export async function accessFor(
  { publicUrl }: EngineParts,
  tokens: Tokens,
  context: CallContext,
  {
    script,
    grant,
    timeoutMs,
  }: {
    readonly script: string;
    readonly grant: readonly Permission[] | undefined;
    readonly timeoutMs: number;
  },
): Promise<GrantedAccess | undefined> {
  if (grant === undefined) return undefined;
  if (publicUrl === undefined) {
    throw new SpacesError(
      "UNSUPPORTED",
      `The native script "${script}" can be granted nothing: there is no server that it could call.`,
      { suggestion: "Run it through a server that was started with --public-url." },
    );
  }
  const { id, token } = await tokens.createForScript(granted(context, grant), {
    name: script,
    expiresInMs: timeoutMs + MARGIN_MS,
  });
  return {
    env: { SPACES_URL: publicUrl, SPACES_TOKEN: token },
    secrets: [token],
    [Symbol.asyncDispose]: () => tokens.forget(id),
  };
}
