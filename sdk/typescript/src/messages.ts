// Messages and events as handlers get them.

import type { AnyMessage, Client, Once, SendingFile } from "./client.js";
import type { components } from "./generated/gateway.js";

type Schemas = components["schemas"];

/** Every kind of event, told apart by `type`. */
export type AnyEvent = Schemas["Event"];
/** The event of a type. */
export type EventOf<T extends AnyEvent["type"]> = Extract<AnyEvent, { type: T }>;
export type Identity = Schemas["Identity"];
export type TextMessage = Schemas["TextMessage"];
export type FileMessage = Schemas["FileMessage"];
export type ReactionMessage = Schemas["ReactionMessage"];

/** What a file's message says about it. Its sender says so: look before you trust it. */
export interface FileAbout {
  attachment_id: string;
  name?: string;
  mime?: string;
  size?: number;
  caption?: string;
}

/** A message of somebody else, with what a bot does about it. */
export class Message {
  constructor(
    readonly client: Client,
    /** Every field, as the API has it. */
    readonly model: AnyMessage,
    /** The event that brought it. */
    readonly event: EventOf<"message.received">,
  ) {}

  /** Chosen by its sender: unique only together with group and sender. */
  get id(): string {
    return this.model.message_id;
  }

  /** The group it was said in. */
  get groupId(): string {
    return this.model.group_id;
  }

  /** Who said it: `identity`, and `name` when it has one. */
  get sender(): Identity {
    return this.model.sender;
  }

  /** The sender's name, or the beginning of its identity. */
  get senderName(): string {
    return this.sender.name ?? this.sender.identity.slice(0, 8);
  }

  /** `text`, `file`, `reaction` and so on, or a type of your own. */
  get type(): string {
    return this.model.type;
  }

  /** The content, any JSON. */
  get content(): unknown {
    return this.model.content;
  }

  /** The text of a text, the caption of a file; empty otherwise. */
  get text(): string {
    if (this.type === "text") return (this.content as { body: string }).body;
    return this.file?.caption ?? "";
  }

  /** The id of the message that this one answers or changes. */
  get about(): string | undefined {
    return this.model.relates_to?.message_id;
  }

  /** Of a file. */
  get file(): FileAbout | undefined {
    return this.type === "file" ? (this.content as FileAbout) : undefined;
  }

  /** Of a reaction: what was put, or taken back. */
  get reaction(): { key: string; active: boolean } | undefined {
    if (this.type !== "reaction") return undefined;
    const { key, active } = this.content as { key: string; active?: boolean };
    return { key, active: active ?? true };
  }

  /** Says something in the same group. */
  send(text: string, options: Once = {}): Promise<AnyMessage> {
    return this.client.send(this.groupId, text, options);
  }

  /** Answers this message. */
  reply(text: string, options: Once = {}): Promise<AnyMessage> {
    return this.client.send(this.groupId, text, { ...options, replyTo: this.id });
  }

  /** Answers this message with a file (a path) or bytes. */
  replyFile(source: string | Uint8Array, options: SendingFile = {}): Promise<AnyMessage> {
    return this.client.sendFile(this.groupId, source, { ...options, replyTo: this.id });
  }

  /** Reacts to this message. */
  react(reaction: string, options: Once = {}): Promise<void> {
    return this.client.react(this.groupId, this.id, reaction, options);
  }

  /** Says that the bot has read up to here. */
  markRead(): Promise<void> {
    return this.client.markRead(this.groupId, this.id);
  }

  /** The bytes of a file. */
  download(): Promise<Uint8Array> {
    return this.client.download(this.file?.attachment_id ?? "");
  }

  /** Writes a file to a path. */
  save(path: string): Promise<void> {
    return this.client.save(this.file?.attachment_id ?? "", path);
  }
}
