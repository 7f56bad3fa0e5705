// Requests that are repeated until they are answered for good, and done once. Works beneath the typed
// client, so that every route of the API has it.

import { AsyncLocalStorage } from "node:async_hooks";
import { createHash, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { asProblem } from "./errors.js";

export const IDEMPOTENCY_KEY = "Idempotency-Key";

const LONGEST_PAUSE_MS = 5_000;
const ANSWER_MS = 75_000;
const SAFE = new Set(["GET", "HEAD", "OPTIONS"]);
/** What proxies in front of a gateway say while it is away. */
const PASSING = new Set([502, 503, 504]);

/**
 * The idempotency keys of what one event's handlers do. The n-th request to a route has the same key
 * whenever the event is handled, so that an event that comes again does nothing twice.
 */
class Keys {
  readonly #counts = new Map<string, number>();

  constructor(readonly event: string) {}

  next(method: string, path: string): string {
    const route = `${method} ${path}`;
    const count = (this.#counts.get(route) ?? 0) + 1;
    this.#counts.set(route, count);
    const digest = createHash("sha256").update(route).digest("hex").slice(0, 16);
    return `${this.event}/${digest}/${count}`;
  }
}

const keys = new AsyncLocalStorage<Keys>();

/** Inside `work`, requests without a key of their own have those of an event. */
export function withKeysOf<T>(event: string, work: () => Promise<T>): Promise<T> {
  return keys.run(new Keys(event), work);
}

/** The key of a request that was given none. */
export function derivedKey(method: string, path: string): string {
  return keys.getStore()?.next(method, path) ?? randomUUID();
}

/** Milliseconds to wait before each new attempt: growing, and different for every client. */
export function* pauses(first = 100): Generator<number, never> {
  for (let pause = first; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    yield pause * (0.5 + Math.random() / 2);
  }
}

/** What is sent. The body must be readable more than once. */
export interface Outgoing {
  url: string;
  method: string;
  headers: Headers;
  body?: string | Blob;
}

/** Sends a request as often as it takes, for `patience` milliseconds. */
export async function repeat(request: Outgoing, patience: number, first = 100): Promise<Response> {
  const { url, method, headers, body } = request;
  if (!SAFE.has(method) && !headers.has(IDEMPOTENCY_KEY)) {
    const { pathname, search } = new URL(url);
    headers.set(IDEMPOTENCY_KEY, derivedKey(method, pathname + search));
  }
  const giveUp = performance.now() + patience;
  for (const pause of pauses(first)) {
    let wait = pause;
    const late = (): boolean => performance.now() + wait > giveUp;
    try {
      const response = await attempt(url, { method, headers, body });
      if (response.status < 400) return response;
      const text = await response.text();
      wait = Math.max(wait, askedFor(response));
      if (!maySucceedLater(response.status, text) || late()) {
        return new Response(text, { status: response.status, headers: response.headers });
      }
    } catch (error) {
      if (late()) throw error;
    }
    await sleep(wait);
  }
  throw new Error("pauses do not end");
}

/** One request; gives up when there are no headers in time, and lets a body take its time. */
async function attempt(url: string, init: RequestInit): Promise<Response> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("no answer in time")), ANSWER_MS);
  try {
    return await fetch(url, { ...init, signal: controller.signal });
  } finally {
    clearTimeout(timer);
  }
}

function maySucceedLater(status: number, text: string): boolean {
  try {
    return asProblem(JSON.parse(text))?.retryable ?? PASSING.has(status);
  } catch {
    return PASSING.has(status);
  }
}

/** Milliseconds that the gateway asks to wait. */
function askedFor(response: Response): number {
  return Number(response.headers.get("Retry-After") ?? 0) * 1000 || 0;
}
