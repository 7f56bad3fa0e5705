// A conversation and the box to speak in.

import { call, get, requestKey } from "./api.js";
import { element, notice, when } from "./dom.js";

const PAGE = 50;

export class Conversation {
  constructor(place, me, group, signal) {
    this.id = group.group_id;
    this.me = me;
    this.signal = signal;
    this.shown = new Map();
    this.seen = new Set();
    this.replyTo = null;
    this.title = element("h2");
    this.list = element("div", { role: "log", "aria-label": "Messages", tabindex: "0" });
    this.older = element("button", { type: "button", class: "plain", hidden: true, onclick: () => this.loadOlder() }, "Earlier messages");
    place.replaceChildren(this.title, this.older, this.list, this.form());
    this.setGroup(group);
  }

  setGroup(group) {
    this.title.textContent = group.name || group.group_id;
    const active = group.state === "active";
    this.text.disabled = !active;
    this.button.disabled = !active;
  }

  form() {
    this.text = element("textarea", { id: "text", rows: "1", "aria-describedby": "keys" });
    this.button = element("button", { type: "submit" }, "Send");
    this.reply = element("p", { class: "hint", hidden: true });
    // Enter sends, unless a word is being composed.
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
    return element("form", { onsubmit: (event) => { event.preventDefault(); this.send(); } },
      this.reply,
      element("div", { class: "speak" },
        element("label", { for: "text", class: "hidden-label" }, "Message"), this.text, this.button),
      element("p", { id: "keys", class: "hint" }, "Enter sends, Shift and Enter begins a line."));
  }

  async send() {
    const body = this.text.value;
    if (body.trim() === "" || this.sending) return;
    this.sending = true;
    const message = { type: "text", content: { body }, reply_to: this.replyTo };
    // The same key for the same message: pressing again after a failure sends once.
    const said = JSON.stringify(message);
    if (this.attempt?.said !== said) this.attempt = { said, key: requestKey() };
    try {
      await call("POST", `v1/groups/${this.id}/messages`, { body: message, key: this.attempt.key });
      this.text.value = "";
      this.attempt = null;
      this.answer(null);
      notice("");
      await this.load();
    } catch (error) {
      notice(`Not sent: ${error.message}`, true);
    } finally {
      this.sending = false;
      this.text.focus();
    }
  }

  answer(message) {
    this.replyTo = message?.message_id ?? null;
    this.reply.hidden = message === null;
    if (message === null) return;
    this.reply.replaceChildren(`Answering: ${summary(message).slice(0, 80)} `,
      element("button", { type: "button", class: "plain", onclick: () => this.answer(null) }, "Do not"));
    this.text.focus();
  }

  /** The newest page, merged into what is shown. */
  async load() {
    const page = await get(`v1/groups/${this.id}/messages?limit=${PAGE}`, this.signal);
    const meets = page.items.some((message) => this.seen.has(keyOf(message)));
    if (!meets) {
      // Nothing is shown yet, or more has come than a page holds: a gap would look like silence.
      this.shown.clear();
      this.seen.clear();
      this.list.replaceChildren();
      this.next = page.next ?? null;
      this.older.hidden = this.next === null;
    }
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    this.merge(page.items.reverse());
    if (atEnd || this.first === undefined) this.list.scrollTop = this.list.scrollHeight;
    this.first = false;
  }

  async loadOlder() {
    if (this.next === null) return;
    try {
      const path = `v1/groups/${this.id}/messages?limit=${PAGE}&before=${encodeURIComponent(this.next)}`;
      const page = await get(path, this.signal);
      this.next = page.next ?? null;
      this.older.hidden = this.next === null;
      const before = this.list.scrollHeight;
      this.merge(page.items.reverse(), true);
      this.list.scrollTop += this.list.scrollHeight - before;
    } catch (error) { notice(error.message, true); }
  }

  /** Adds what is new and replaces what has changed; the order is that of the history. */
  merge(messages, isOlder = false) {
    const front = isOlder ? this.list.firstChild : null;
    for (const message of messages) {
      const key = keyOf(message);
      this.seen.add(key);
      if (!isShown(message)) continue;
      const text = JSON.stringify(message);
      const known = this.shown.get(key);
      if (known?.text === text) continue;
      const item = this.item(message);
      if (known) known.item.replaceWith(item);
      else this.list.insertBefore(item, front);
      this.shown.set(key, { item, text, message });
    }
  }

  item(message) {
    const mine = message.sender.identity === this.me.identity;
    const name = message.sender.name ?? message.sender.identity.slice(0, 12);
    const states = { queued: "waits for the node", failed: `failed: ${message.delivery.reason ?? ""}` };
    const state = mine ? states[message.delivery.state] : undefined;
    const warning = message.security.trust === "changed" ? "another key than before" : undefined;
    const marks = [state, warning, message.edited_at ? "edited" : undefined].filter(Boolean);
    return element("article", { class: mine ? "message mine" : "message" },
      element("div", { class: "about" }, element("b", {}, name), when(message.sent_at),
        ...marks.map((mark) => element("span", {}, mark)),
        element("button", { type: "button", onclick: () => this.answer(message), "aria-label": `Answer ${name}` }, "Answer")),
      this.quote(message), body(message), reactions(message));
  }

  quote(message) {
    if (message.relates_to?.rel !== "reply") return null;
    const id = message.relates_to.message_id;
    const found = [...this.shown.values()].find((one) => one.message.message_id === id);
    return element("div", { class: "quote" }, found ? summary(found.message) : "an earlier message");
  }
}

function keyOf(message) {
  return `${message.sender.identity}/${message.message_id}`;
}

/** What says something by itself; what changes another message is shown there. */
function isShown(message) {
  return !["edit", "delete", "reaction", "read", "typing"].includes(message.type);
}

function summary(message) {
  if (message.deleted_at) return "deleted";
  if (message.type === "text") return message.content?.body ?? "";
  if (message.type === "file") return message.content?.name ?? "a file";
  return `${message.type} ${JSON.stringify(message.content)}`;
}

function body(message) {
  if (message.deleted_at) return element("div", { class: "gone" }, "deleted");
  const mono = ["text", "file"].includes(message.type) ? "" : " mono";
  return element("div", { class: `body${mono}` }, summary(message));
}

function reactions(message) {
  const list = message.reactions ?? [];
  if (list.length === 0) return null;
  return element("div", { class: "reactions", "aria-label": "Reactions" },
    list.map((one) => element("span", {}, `${one.key} ${one.count ?? one.senders?.length ?? ""}`)));
}
