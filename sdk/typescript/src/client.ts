// The gateway's API for one bot: the typed client, with what bots do most at hand.

import { createWriteStream, openAsBlob } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { ReadableStream } from "node:stream/web";

import createClient, { type Client as TypedClient } from "openapi-fetch";

import { ConfigurationError, QuicproquoError, Unreachable, asProblem, refusal } from "./errors.js";
import type { components, paths } from "./generated/gateway.js";
import { IDEMPOTENCY_KEY, repeat } from "./transport.js";

type Schemas = components["schemas"];
export type AnyMessage = Schemas["Message"];
export type Group = Schemas["Group"];
export type Member = Schemas["Member"];
export type Invitation = Schemas["Invitation"];
export type Attachment = Schemas["Attachment"];
export type Me = Schemas["Me"];

export interface Settings {
  /** The gateway; the variable `QPQ_URL`, or `http://127.0.0.1:8080`. */
  url?: string | undefined;
  /** The bot's token; the variable `QPQ_TOKEN`. */
  token?: string | undefined;
  /** For how many milliseconds a request is repeated (60,000). */
  patience?: number;
}

/** Of requests that change something. */
export interface Once {
  /** The idempotency key: the same key does it once. Derived from the event inside handlers. */
  key?: string | undefined;
}

export interface Sending extends Once {
  /** The id of the message this one answers. */
  replyTo?: string | undefined;
}

export interface SendingFile extends Sending {
  name?: string;
  /** The media type. */
  mime?: string;
  caption?: string;
}

/** What a call answers, or an error that says what went wrong. */
export async function settle<T>(call: Promise<Answered<T>>): Promise<T> {
  let answered: Answered<T>;
  try {
    answered = await call;
  } catch (error) {
    if (error instanceof QuicproquoError) throw error;
    throw new Unreachable(`the gateway does not answer: ${reason(error)}`, { cause: error });
  }
  if (answered.response.ok) return answered.data as T;
  const problem = asProblem(answered.error);
  if (problem) throw refusal(problem);
  throw new Unreachable(
    `this is no gateway, or something is in front of it: it answers ${answered.response.status}`,
  );
}

interface Answered<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

/**
 * The API as one bot sees it.
 *
 * Every changing request carries an `Idempotency-Key` and is repeated, under the same key, until the
 * gateway has answered for good: it is done once.
 */
export class Client {
  readonly url: string;
  readonly token: string;
  /** Every route, typed: `await settle(client.api.GET("/v1/groups/{group_id}", ...))`. */
  readonly api: TypedClient<paths>;
  readonly #patience: number;

  constructor(settings: Settings = {}) {
    const url = settings.url ?? (process.env["QPQ_URL"] || "http://127.0.0.1:8080");
    this.url = url.replace(/\/+$/, "");
    this.token = (settings.token ?? process.env["QPQ_TOKEN"] ?? "").trim();
    if (!/^https?:\/\//.test(this.url) || !URL.canParse(this.url)) {
      throw new ConfigurationError(`QPQ_URL is no http or https address: ${this.url}`);
    }
    if (!this.token) {
      throw new ConfigurationError(
        "set QPQ_TOKEN to the bot's token (`POST /v1/bots` shows it once)",
      );
    }
    const patience = settings.patience ?? 60_000;
    this.#patience = patience;
    this.api = createClient<paths>({
      baseUrl: this.url,
      headers: this.#headers(),
      fetch: async (request: Request) => {
        const { url, method, headers } = request;
        const body = await request.text();
        return repeat({ url, method, headers, ...(body && { body }) }, patience);
      },
    });
  }

  #headers(): Record<string, string> {
    return { Authorization: `Bearer ${this.token}` };
  }

  /** Which bot this is, and what its token may do. */
  me(): Promise<Me> {
    return settle(this.api.GET("/v1/me"));
  }

  // Messages

  /** Sends a text, at most 64 KiB. When this answers, the message is durable. */
  send(group: string, text: string, options: Sending = {}): Promise<AnyMessage> {
    return this.#send(group, { type: "text", content: { body: text } }, options);
  }

  /** Sends a message of a type of your own (`com.example.move`) with any JSON as content. */
  sendOwn(
    group: string, type: `${string}.${string}`, content: unknown, options: Sending = {},
  ): Promise<AnyMessage> {
    // The generated type has the schema's name in the place of such types.
    return this.#send(group, { type, content } as unknown as Schemas["OwnMessageRequest"], options);
  }

  /** Uploads a file (a path) or bytes, at most 100 MiB, and sends it. */
  async sendFile(
    group: string, source: string | Uint8Array, options: SendingFile = {},
  ): Promise<AnyMessage> {
    const { name, mime, caption, key } = options;
    const uploaded = await this.upload(source, {
      ...(name !== undefined && { name }), ...(mime !== undefined && { mime }),
      key: key && `${key}/upload`,
    });
    const content = { attachment_id: uploaded.attachment_id, ...(caption !== undefined && { caption }) };
    return this.#send(group, { type: "file", content }, options);
  }

  #send(
    group: string, message: Schemas["MessageRequest"], { replyTo, key }: Sending,
  ): Promise<AnyMessage> {
    const body = { ...message, ...(replyTo !== undefined && { reply_to: replyTo }) };
    const params = { path: { group_id: group }, header: once(key) };
    return settle(this.api.POST("/v1/groups/{group_id}/messages", { params, body }));
  }

  /** Changes an own text. */
  edit(group: string, message: string, text: string, { key }: Once = {}): Promise<AnyMessage> {
    const params = { path: { group_id: group, message_id: message }, header: once(key) };
    const body = { content: { body: text } };
    return settle(this.api.PATCH("/v1/groups/{group_id}/messages/{message_id}", { params, body }));
  }

  /** Deletes an own message for everybody. */
  delete(group: string, message: string, { key }: Once = {}): Promise<AnyMessage> {
    const params = { path: { group_id: group, message_id: message }, header: once(key) };
    return settle(this.api.DELETE("/v1/groups/{group_id}/messages/{message_id}", { params }));
  }

  /** Reacts to a message with an emoji or a short text. */
  async react(group: string, message: string, reaction: string, { key }: Once = {}): Promise<void> {
    const path = { group_id: group, message_id: message, key: reaction };
    const params = { path, header: once(key) };
    const route = "/v1/groups/{group_id}/messages/{message_id}/reactions/{key}";
    await settle(this.api.PUT(route, { params }));
  }

  /** Takes a reaction back. */
  async unreact(group: string, message: string, reaction: string, { key }: Once = {}): Promise<void> {
    const path = { group_id: group, message_id: message, key: reaction };
    const params = { path, header: once(key) };
    const route = "/v1/groups/{group_id}/messages/{message_id}/reactions/{key}";
    await settle(this.api.DELETE(route, { params }));
  }

  /** Says how far the bot has read. */
  async markRead(group: string, message: string): Promise<void> {
    const params = { path: { group_id: group } };
    await settle(this.api.PUT("/v1/groups/{group_id}/read", { params, body: { message_id: message } }));
  }

  /** Says that the bot writes, for the next 30 seconds, or that it has stopped. */
  async typing(group: string, active = true): Promise<void> {
    const params = { path: { group_id: group } };
    await settle(this.api.PUT("/v1/groups/{group_id}/typing", { params, body: { active } }));
  }

  // Files

  /** Uploads a file (a path) or bytes; the answer's `attachment_id` can be sent. */
  async upload(
    source: string | Uint8Array, options: Once & { name?: string; mime?: string } = {},
  ): Promise<Attachment> {
    const path = typeof source === "string" ? source : undefined;
    const body = path === undefined ? new Blob([source as Uint8Array<ArrayBuffer>]) : await openAsBlob(path);
    const name = options.name ?? (path === undefined ? "file" : basename(path));
    const headers = new Headers(this.#headers());
    headers.set("Content-Type", options.mime ?? "application/octet-stream");
    if (options.key !== undefined) headers.set(IDEMPOTENCY_KEY, options.key);
    const url = `${this.url}/v1/attachments?filename=${encodeURIComponent(name)}`;
    const read = (answer: Response) => answer.json() as Promise<Attachment>;
    return settle(this.#raw({ url, method: "POST", headers, body }, read));
  }

  /** A received file. */
  async download(attachment: string): Promise<Uint8Array> {
    return settle(this.#fetch(attachment, async (answer) => new Uint8Array(await answer.arrayBuffer())));
  }

  /**
   * Writes a received file to a path. What is there already is replaced, and only by a file that is
   * whole.
   */
  async save(attachment: string, path: string): Promise<void> {
    const part = `${path}.part`;
    try {
      await settle(this.#fetch(attachment, async (answer) => {
        const body = answer.body ?? new Blob([]).stream();
        await pipeline(Readable.fromWeb(body as ReadableStream), createWriteStream(part));
      }));
      await rename(part, path);
    } finally {
      await rm(part, { force: true });
    }
  }

  #fetch<T>(attachment: string, read: (answer: Response) => Promise<T>): Promise<Answered<T>> {
    const url = `${this.url}/v1/attachments/${encodeURIComponent(attachment)}`;
    return this.#raw({ url, method: "GET", headers: new Headers(this.#headers()) }, read);
  }

  /** A request whose bodies are no JSON. */
  async #raw<T>(
    request: Parameters<typeof repeat>[0], read: (answer: Response) => Promise<T>,
  ): Promise<Answered<T>> {
    const response = await repeat(request, this.#patience);
    if (response.ok) return { data: await read(response), response };
    const error: unknown = await response.json().catch(() => undefined);
    return { error, response };
  }

  // Groups

  /** The groups the bot is or was in; `state` says which. */
  async groups(): Promise<Group[]> {
    return (await settle(this.api.GET("/v1/groups"))).items;
  }

  /** Creates a group and invites members by their identities or names. */
  async createGroup(name: string, members: string[] = [], { key }: Once = {}): Promise<Group> {
    const params = { header: once(key) };
    const made = await settle(this.api.POST("/v1/groups", { params, body: { name, members } }));
    // A change is durable here and on its way to the node.
    return "group" in made ? made.group : made;
  }

  /** Who is in a group. */
  async members(group: string): Promise<Member[]> {
    const params = { path: { group_id: group } };
    return (await settle(this.api.GET("/v1/groups/{group_id}/members", { params }))).items;
  }

  /** Invitations that are not answered yet. */
  async invitations(): Promise<Invitation[]> {
    return (await settle(this.api.GET("/v1/invitations"))).items;
  }

  /** Accepts an invitation. */
  async accept(invitation: string): Promise<void> {
    const params = { path: { invitation_id: invitation } };
    await settle(this.api.POST("/v1/invitations/{invitation_id}/accept", { params }));
  }

  /** Declines an invitation. */
  async decline(invitation: string): Promise<void> {
    const params = { path: { invitation_id: invitation } };
    await settle(this.api.POST("/v1/invitations/{invitation_id}/decline", { params }));
  }
}

function once(key: string | undefined): { [IDEMPOTENCY_KEY]?: string } {
  return key === undefined ? {} : { [IDEMPOTENCY_KEY]: key };
}

/** `fetch failed` says nothing; its cause does. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error ? cause.message || cause.name : error.message;
}
