/** What a schedule's author gave, as it is kept: the secret of its webhook apart, and encrypted. */
import type { ScheduleSpec } from "../../contract/schedules.js";
import type { ScheduleRow } from "../../store/tables.js";
import type { SecretBox } from "../secrets.js";

/** What a row's `spec` holds; the name and whether it is paused are columns. */
export type StoredSpec = Omit<ScheduleSpec, "name" | "paused">;
type Sealed = Pick<ScheduleRow, "spec" | "overlap" | "webhook_secret">;
type Before = Pick<ScheduleRow, "spec" | "webhook_secret">;

export function specOf({ spec }: Pick<ScheduleRow, "spec">): StoredSpec {
  return JSON.parse(spec) as StoredSpec;
}

/**
 * The columns of a spec.
 * @param before as it was kept so far: a webhook that is given without a secret keeps the one that it
 *   had, for nobody can read it to give it again, unless its URL is another
 */
export async function sealed(
  secrets: SecretBox,
  id: string,
  spec: StoredSpec,
  before: Before | undefined,
): Promise<Sealed> {
  const { notify } = spec;
  const { secret, ...webhook } = notify?.webhook ?? { url: "" };
  const kept = notify?.webhook === undefined ? notify : { ...notify, webhook };
  return {
    spec: JSON.stringify({ ...spec, notify: kept } satisfies StoredSpec),
    overlap: spec.overlap,
    webhook_secret: await sealedSecret(secrets, id, notify?.webhook, before),
  };
}

/**
 * The secret by which a schedule's webhook is signed; undefined where it has none.
 * @throws SpacesError `STORE_UNAVAILABLE` where it cannot be decrypted
 */
export async function webhookSecretOf(
  secrets: SecretBox,
  { id, webhook_secret }: Pick<ScheduleRow, "id" | "webhook_secret">,
): Promise<string | undefined> {
  return webhook_secret === null ? undefined : await secrets.decrypt(webhook_secret, placeOf(id));
}

async function sealedSecret(
  secrets: SecretBox,
  id: string,
  webhook: NonNullable<StoredSpec["notify"]>["webhook"],
  before: Before | undefined,
): Promise<string | null> {
  if (webhook === undefined) return null;
  const had = before?.webhook_secret ?? null;
  if (webhook.secret === undefined) {
    const sameUrl = before !== undefined && specOf(before).notify?.webhook?.url === webhook.url;
    return sameUrl ? had : null;
  }
  if (had !== null && (await secrets.decrypt(had, placeOf(id))) === webhook.secret) return had;
  return await secrets.encrypt(webhook.secret, placeOf(id));
}

function placeOf(scheduleId: string): string {
  return `schedule/${scheduleId}/webhook`;
}
