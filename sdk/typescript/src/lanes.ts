// Events on their way through the handlers: those of a group in order, groups side by side.
//
// An event is acknowledged after its handler. One whose handler failed is not; it comes again, and
// with it what followed it in its group, so nothing of that group is handled until then.

import type { AnyEvent } from "./messages.js";

/** The gateway sets an event aside after this many. */
export const ATTEMPTS = 10;
/** Handled events that are remembered, in case their acknowledgements were lost. */
const REMEMBERED = 10_000;

/** The connection, whichever it is. Both may fail quietly: what is not acknowledged comes again. */
export interface Link {
  acknowledge(deliveryId: string): void;
  extend(deliveryId: string): void;
}

/** A delivery that is not handled yet. */
export interface Job {
  deliveryId: string;
  event: AnyEvent;
}

export interface Terms {
  /** Milliseconds after which the gateway gives a delivery up unless it is extended. */
  lease: number;
  /** Milliseconds that handling an event may take. */
  patience: number;
  /** Gets a sentence about what went wrong, and the error. */
  complain: (what: string, error: unknown) => void;
}

export class Lanes {
  readonly #lanes = new Map<string | null, Job[]>();
  readonly #working = new Set<Promise<void>>();
  readonly #done = new Set<string>();
  /**
   * Groups with an event that failed, and all events of them seen since: one of these comes again
   * before anything else of the group is handled.
   */
  readonly #failed = new Map<string | null, Set<string>>();

  constructor(
    readonly handle: (event: AnyEvent) => Promise<void>,
    readonly link: Link,
    readonly terms: Terms,
  ) {}

  /** Takes a delivery over. */
  deliver(job: Job): void {
    const { group_id: group, cursor, replayed } = job.event;
    const lane = this.#lanes.get(group) ?? [];
    const waiting = lane.find((other) => other.event.cursor === cursor);
    if (waiting) {
      waiting.deliveryId = job.deliveryId;
      return;
    }
    if (this.#done.has(cursor) && !replayed) {
      this.link.acknowledge(job.deliveryId);
      return;
    }
    const seen = this.#failed.get(group);
    if (seen && !seen.has(cursor) && !replayed) {
      seen.add(cursor);
      return;
    }
    this.#failed.delete(group);
    lane.push(job);
    if (this.#lanes.has(group)) return;
    this.#lanes.set(group, lane);
    const work = this.#work(group, lane).finally(() => this.#working.delete(work));
    this.#working.add(work);
  }

  /** Forgets what waits: it is delivered again, here or elsewhere. What has begun goes on. */
  disconnected(): void {
    for (const lane of this.#lanes.values()) lane.length = 1;
    this.#failed.clear();
  }

  /** Waits for what has begun, for `grace` milliseconds. */
  async finish(grace: number): Promise<void> {
    this.disconnected();
    await within(grace, Promise.all(this.#working)).catch(() => undefined);
  }

  async #work(group: string | null, lane: Job[]): Promise<void> {
    for (let job = lane[0]; job; job = lane[0]) {
      if (await this.#one(job)) {
        lane.shift();
      } else {
        // With what waits behind it: all of it comes again.
        this.#failed.set(group, new Set(lane.map((other) => other.event.cursor)));
        lane.length = 0;
      }
    }
    this.#lanes.delete(group);
  }

  /** Whether the next event of the group may be handled. */
  async #one(job: Job): Promise<boolean> {
    const { event } = job;
    const extending = setInterval(() => this.link.extend(job.deliveryId), this.terms.lease / 3);
    try {
      await within(this.terms.patience, this.handle(event));
    } catch (error) {
      const last = event.attempt >= ATTEMPTS;
      const next = last ? "it is set aside" : "it comes again";
      const what = `${event.type} ${event.cursor} was not handled, attempt ${event.attempt}; ${next}`;
      this.terms.complain(what, error);
      return last;
    } finally {
      clearInterval(extending);
    }
    this.#done.add(event.cursor);
    if (this.#done.size > REMEMBERED) {
      for (const oldest of this.#done) {
        this.#done.delete(oldest);
        break;
      }
    }
    this.link.acknowledge(job.deliveryId);
    return true;
  }
}

/** What `work` answers, unless that takes longer. */
async function within<T>(limit: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit / 1000} s`)), limit);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
