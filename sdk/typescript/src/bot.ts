// A bot: handlers, and what runs them.

import { Client, type Settings } from "./client.js";
import { AlreadyDone, QuicproquoError, Refused, Unreachable } from "./errors.js";
import { type AnyEvent, type EventOf, Message } from "./messages.js";
import { Stream } from "./stream.js";
import { withKeysOf } from "./transport.js";

/** Milliseconds for handlers that have begun when the bot is told to stop. */
const GRACE = 10_000;
const LEASE = 30_000;

export interface BotSettings extends Settings {
  /**
   * Whether the bot joins every group it is invited to (it does). Without, decide in a handler of
   * `invitation.received`, or accept by another way.
   */
  acceptInvitations?: boolean;
  /**
   * Milliseconds that handling one event may take before it counts as failed (300,000). While a
   * handler runs, its event is kept from coming again.
   */
  handling?: number;
  /** Gets what the bot has to say; `console.error` when absent. */
  log?: (line: string) => void;
}

type MessageHandler = (message: Message) => Promise<unknown>;
type EventHandler = (event: AnyEvent) => Promise<unknown>;

/**
 * Calls handlers for what happens, each event once as far as that can be.
 *
 * An event is acknowledged when its handlers have returned. A handler that throws, and a bot or
 * gateway that is killed, make it come again; what the handler had sent before is not sent again, since
 * requests inside handlers carry idempotency keys that are derived from the event. Events of a group
 * are handled in their order, groups side by side.
 */
export class Bot {
  readonly #messages: [string | undefined, MessageHandler][] = [];
  readonly #events: [string, EventHandler][] = [];
  #client: Client | undefined;
  #stream: Stream | undefined;

  /**
   * @param consumer Names the bot's place in its event log; programs with the same name share the
   *   work. A new one begins with what happens from now on.
   */
  constructor(readonly consumer = "bot", readonly settings: BotSettings = {}) {
    if (settings.acceptInvitations ?? true) {
      this.onEvent("invitation.received", (event) => this.#accept(event.data.invitation_id));
    }
  }

  /** The API, as this bot. */
  get client(): Client {
    this.#client ??= new Client(this.settings);
    return this.#client;
  }

  /** Calls the function with each text that somebody else says. */
  onText(handler: MessageHandler): void {
    this.onMessage("text", handler);
  }

  /** Calls the function with each file that somebody else sends. */
  onFile(handler: MessageHandler): void {
    this.onMessage("file", handler);
  }

  /** Calls the function with each reaction; `about` is the message. */
  onReaction(handler: MessageHandler): void {
    this.onMessage("reaction", handler);
  }

  /** Calls the function with each message of a type, or with all of them (`undefined`). */
  onMessage(type: string | undefined, handler: MessageHandler): void {
    this.#messages.push([type, handler]);
  }

  /** Calls the function with each event of a type, such as `group.joined`. */
  onEvent<T extends AnyEvent["type"]>(
    type: T, handler: (event: EventOf<T>) => Promise<unknown>,
  ): void {
    this.#events.push([type, handler as EventHandler]);
  }

  /**
   * Runs until SIGTERM or SIGINT, and ends the process: with 1 and a sentence when it cannot go on.
   */
  async run(): Promise<never> {
    let stopping: Promise<void> | undefined;
    const stop = (): void => {
      stopping ??= this.stop();
    };
    process.once("SIGTERM", stop).once("SIGINT", stop);
    try {
      await this.serve();
      await stopping;
    } catch (error) {
      if (!(error instanceof QuicproquoError)) throw error;
      console.error(`${this.consumer}: ${error.message}`);
      process.exitCode = 1;
      await this.stop();
    }
    process.exit();
  }

  /** Runs until `stop`. Throws when it cannot go on. */
  async serve(): Promise<void> {
    const log = this.settings.log ?? ((line: string) => console.error(line));
    const types = new Set(this.#events.map(([type]) => type));
    if (this.#messages.length > 0) types.add("message.received");
    let ready = (): void => undefined;
    const connected = new Promise<void>((resolve) => (ready = resolve));
    const options = {
      consumer: this.consumer,
      types,
      lease: LEASE,
      patience: this.settings.handling ?? 300_000,
      connected: () => {
        ready();
        log("listening");
      },
      complain: (what: string, error: unknown) => log(`${what}: ${explain(error)}`),
      log,
    };
    const stream = new Stream(this.client, options, (event) => this.#dispatch(event, log));
    this.#stream = stream;
    const pending = connected
      .then(() => this.#acceptPending(log))
      .then(() => new Promise<never>(() => undefined));
    await Promise.race([stream.run(), pending]);
  }

  /** Lets handlers that have begun end, acknowledges what they did, and ends `serve`. */
  async stop(): Promise<void> {
    await this.#stream?.stop(GRACE);
  }

  /** Calls the handlers of an event; throws when one of them fails. */
  async #dispatch(event: AnyEvent, log: (line: string) => void): Promise<void> {
    try {
      await withKeysOf(`${this.consumer}/${event.cursor}`, async () => {
        for (const [type, handler] of this.#events) {
          if (type === event.type) await handler(event);
        }
        if (event.type !== "message.received") return;
        const message = new Message(this.client, event.data, event);
        for (const [type, handler] of this.#messages) {
          if (type === undefined || type === message.type) await handler(message);
        }
      });
    } catch (error) {
      if (!(error instanceof AlreadyDone)) throw error;
      log(`${event.cursor} had been handled in part, another way: ${error.message}`);
    }
  }

  /** Those that came before the consumer began. */
  async #acceptPending(log: (line: string) => void): Promise<void> {
    if (!(this.settings.acceptInvitations ?? true)) return;
    for (let accepted = false; !accepted; ) {
      try {
        for (const { invitation_id } of await this.client.invitations()) {
          await this.#accept(invitation_id);
        }
        accepted = true;
      } catch (error) {
        if (!(error instanceof Unreachable)) throw error;
        log(`invitations wait: ${error.message}`);
      }
    }
  }

  async #accept(invitation: string): Promise<void> {
    try {
      await this.client.accept(invitation);
    } catch (error) {
      // Answered already, or withdrawn.
      const gone = ["invitation-not-found", "group-inactive"];
      if (!(error instanceof Refused && gone.includes(error.kind))) throw error;
    }
  }
}

function explain(error: unknown): string {
  if (error instanceof QuicproquoError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
