/**
 * What tells the world of jobs that did not go well. The scheduler calls it; what a notification is,
 * and how it is delivered, is the notifier's own.
 */

/** Delivers notifications: of jobs whose `notify_due_ms` has come. */
export interface Notifier {
  /**
   * Delivers what is due now. The scheduler calls it again and again, never twice at once; several
   * processes may, so each notification has to be claimed.
   */
  deliverDue(): Promise<void>;
}
