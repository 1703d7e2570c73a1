/**
 * What tells the world of jobs that did not go well. The scheduler calls it; what a notification is,
 * and how it is delivered, is the notifier's own.
 */

import type { CallOptions } from "../context.js";

/** Delivers notifications: of jobs whose `notify_due_ms` has come. */
export interface Notifier {
  /**
   * Delivers what is due now. The scheduler calls it again and again, also while an earlier call is
   * not over, and so do other processes: each notification has to be claimed.
   * @param options `owner`: only what that user is told of; the signal ends what is under way
   */
  deliverDue(options?: DeliverOptions): Promise<void>;
}

export interface DeliverOptions extends CallOptions {
  readonly owner?: string | undefined;
}
