// The event stream: a WebSocket that is opened again whenever it ends.

import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { WebSocket } from "ws";

import type { Client } from "./client.js";
import { StreamEnded, asProblem, refusal } from "./errors.js";
import { Lanes, type Link, type Terms } from "./lanes.js";
import type { AnyEvent } from "./messages.js";
import { pauses } from "./transport.js";

/** Larger than any frame: a message holds 1 MiB of content. */
const LARGEST_FRAME = 8 * 1024 * 1024;
/** The gateway pings every 25 s. */
const SILENCE_MS = 60_000;
const OPENING_MS = 20_000;
const STEADY_MS = 30_000;

const ENDS: Record<number, string> = {
  4401: "the token is not valid any more",
  4403: "the token may not read events, or is limited to other groups",
  4409:
    "another program runs as this consumer and listens for other events: stop it, or choose another name for one of them",
  4410:
    "events were deleted before this bot has read them; move the consumer by `POST /v1/events/ack` with `oldest` or `newest` of the answer to `GET /v1/events`",
};

export interface StreamOptions extends Terms {
  /** Names the bot's place in the log, which the gateway keeps. */
  consumer: string;
  /** The types of events that are wanted. */
  types: Iterable<string>;
  /** Called with each connection. */
  connected: () => void;
  /** Gets a sentence about what goes on. */
  log: (line: string) => void;
}

/** Reads a consumer's events until it is stopped. */
export class Stream implements Link {
  readonly #lanes: Lanes;
  readonly #stop = new AbortController();
  #socket: WebSocket | undefined;

  constructor(
    readonly client: Client,
    readonly options: StreamOptions,
    handle: (event: AnyEvent) => Promise<void>,
  ) {
    this.#lanes = new Lanes(handle, this, options);
  }

  /** Reads until `stop`. Throws what reconnecting does not mend. */
  async run(): Promise<void> {
    const { signal } = this.#stop;
    let waits = pauses();
    while (!signal.aborted) {
      const started = performance.now();
      const reason = await this.#connection();
      if (signal.aborted) return;
      if (performance.now() - started > STEADY_MS) waits = pauses();
      const wait = waits.next().value;
      this.options.log(`connecting again in ${(wait / 1000).toFixed(1)} s: ${reason}`);
      await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Lets handlers end and acknowledges what they did, then closes the connection. */
  async stop(grace: number): Promise<void> {
    this.#stop.abort();
    await this.#lanes.finish(grace);
    this.#socket?.close(1000);
  }

  acknowledge(deliveryId: string): void {
    this.#say({ type: "ack", ids: [deliveryId] });
  }

  extend(deliveryId: string): void {
    this.#say({ type: "extend", ids: [deliveryId] });
  }

  #say(frame: object): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #address(): string {
    const { consumer, types, lease } = this.options;
    const query = new URLSearchParams({
      consumer, types: [...types].sort().join(","), lease: String(lease),
    });
    return `${this.client.url.replace("http", "ws")}/v1/events/ws?${query}`;
  }

  /** Reads one connection to its end, and answers why that was. */
  #connection(): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.#address(), {
        headers: { Authorization: `Bearer ${this.client.token}` },
        maxPayload: LARGEST_FRAME,
        handshakeTimeout: OPENING_MS,
      });
      this.#socket = socket;
      let said: string | undefined;
      let failure: string | undefined;
      let silence: NodeJS.Timeout | undefined;
      const heard = (): void => {
        clearTimeout(silence);
        silence = setTimeout(() => socket.terminate(), SILENCE_MS);
      };
      socket.on("open", heard);
      socket.on("ping", heard);
      socket.on("message", (data) => {
        heard();
        const frame = JSON.parse(String(data)) as Frame;
        // What comes while handlers end is left to the next one.
        if (frame.type === "event" && !this.#stop.signal.aborted) {
          this.#lanes.deliver({ deliveryId: frame.delivery_id, event: frame.event });
        } else if (frame.type === "hello") {
          this.options.connected();
        } else if (frame.type === "error") {
          const problem = asProblem(frame.problem);
          said = problem ? refusal(problem).message : undefined;
          this.options.log(`the gateway says: ${said}`);
        }
      });
      socket.on("unexpected-response", (request, response) => {
        // Read first: its end is the end of the socket too.
        void refused(response).then(resolve, reject).finally(() => request.destroy());
      });
      socket.on("error", (error) => {
        failure = error.message || ("code" in error ? String(error.code) : error.name);
      });
      socket.on("close", (code, text) => {
        clearTimeout(silence);
        this.#lanes.disconnected();
        const why = said ?? failure ?? (text.toString() || `the gateway closed the stream (${code})`);
        const end = ENDS[code] ?? (code === 1003 || code === 1008 ? why : undefined);
        if (end === undefined) resolve(why);
        else reject(new StreamEnded(said ?? end));
      });
    });
  }
}

type Frame =
  | { type: "event"; delivery_id: string; event: AnyEvent }
  | { type: "hello" }
  | { type: "error"; problem: unknown }
  | { type: "result" };

/** Why the gateway opens no stream now; throws when it never will. */
async function refused(response: IncomingMessage): Promise<string> {
  const status = response.statusCode ?? 0;
  let text = "";
  for await (const chunk of response) text += String(chunk);
  let problem;
  try {
    problem = asProblem(JSON.parse(text));
  } catch {
    problem = undefined;
  }
  if (!problem) {
    if (status < 500) throw new StreamEnded(`this is no gateway: it answers ${status}`);
    return `the answer was ${status}`;
  }
  const error = refusal(problem);
  if (!problem.retryable && problem.status < 500) throw error;
  return error.message;
}
