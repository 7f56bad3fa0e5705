/**
 * Bots for quicproquo, end-to-end encrypted group messaging, over its gateway.
 *
 * @packageDocumentation
 */

export { Bot, type BotSettings } from "./bot.js";
export {
  type AnyMessage, type Attachment, Client, type Group, type Invitation, type Me, type Member,
  type Once, type Sending, type SendingFile, type Settings, settle,
} from "./client.js";
export {
  AlreadyDone, ConfigurationError, type Problem, QuicproquoError, Refused, StreamEnded, Unreachable,
} from "./errors.js";
export type { components, operations, paths } from "./generated/gateway.js";
export {
  type AnyEvent, type EventOf, type FileAbout, type FileMessage, type Identity, Message,
  type ReactionMessage, type TextMessage,
} from "./messages.js";
