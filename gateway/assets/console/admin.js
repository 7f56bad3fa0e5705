// The admin's page: all bots and how they do, live.

import { all, call, get } from "./api.js";
import { element, field, notice, short, show, when } from "./dom.js";
import { pause, repeat } from "./live.js";

const EVERY_MS = 3_000;
const GOOD = { running: "good", connecting: "warn", exported: "warn", stopped: "warn" };

export async function adminPage(signal) {
  const rows = element("tbody");
  const detail = element("section", { "aria-label": "Bot", hidden: true, class: "card" });
  const secret = element("div");
  show(
    element("section", { class: "card", "aria-labelledby": "bots" },
      element("h2", { id: "bots" }, "Bots"), newBot(secret), secret,
      element("div", { class: "scroll" }, element("table", {},
        element("caption", {}, "Every bot of this gateway, as it is now"),
        element("thead", {}, element("tr", {},
          heading("Name"), heading("State"), heading("Identity"), heading("Key packages"),
          heading("Groups", true), heading("Unsent", true), heading("Created"))),
        rows))),
    detail);
  let wanted = null;
  let opened = null;
  const choose = async ({ bot_id: id }) => {
    try {
      const made = newDetail(id, signal);
      wanted = made;
      await made.refresh();
      if (wanted !== made) return;
      opened = made;
      detail.replaceChildren(...made.parts);
      detail.hidden = false;
      detail.querySelector("h2").focus();
    } catch (error) {
      if (!signal.aborted) notice(error.message, true);
    }
  };
  await repeat(async () => {
    const bots = await all("v1/bots", signal);
    update(rows, bots, choose);
    const isThere = bots.some((bot) => bot.bot_id === opened?.id);
    detail.hidden = !isThere;
    if (isThere) await opened.refresh();
    await pause(EVERY_MS, signal);
  }, signal);
}

function heading(text, isNumber) {
  return element("th", { scope: "col", class: isNumber ? "number" : undefined }, text);
}

/** Rows in place, so that the focus stays where it is; `change` writes what can differ. */
function keep(rows, items, key, make, change) {
  const known = new Map([...rows.children].map((row) => [row.dataset.key, row]));
  const wanted = new Set(items.map(key));
  for (const [name, row] of known) if (!wanted.has(name)) row.remove();
  let place = rows.firstElementChild;
  for (const item of items) {
    const row = known.get(key(item)) ?? make(item);
    row.dataset.key = key(item);
    change(row, item);
    // Moving a row takes the focus from what is in it.
    if (row === place) place = place.nextElementSibling;
    else rows.insertBefore(row, place);
  }
}

function update(rows, bots, choose) {
  keep(rows, bots, (bot) => bot.bot_id, (bot) => newRow(bot, choose), (row, bot) => {
    const [, state, , stock, groups, unsent] = row.children;
    state.replaceChildren(stateOf(bot));
    const packages = bot.health.key_packages.map((kind) => `${kind.post_quantum} ${kind.count}`);
    stock.textContent = packages.join(", ") || "\u2013";
    groups.textContent = bot.health.groups ?? "\u2013";
    unsent.textContent = bot.health.outbox;
  });
}

function newRow(bot, choose) {
  const open = element("button", { type: "button", class: "plain", onclick: () => choose(bot) }, bot.name);
  return element("tr", {},
    element("th", { scope: "row" }, open), element("td"), element("td", {}, short(bot.identity)),
    element("td"), element("td", { class: "number" }), element("td", { class: "number" }),
    element("td", {}, when(bot.created_at)));
}

function stateOf(bot) {
  const reason = bot.health.reason ? ` (${bot.health.reason})` : "";
  return mark(GOOD[bot.state] ?? "bad", bot.state + reason);
}

function mark(kind, text) {
  return element("span", { class: `state ${kind}` }, text);
}

function newBot(secret) {
  const name = element("input", {
    id: "new-name", type: "text", required: true, pattern: "[a-z0-9._\\-]{1,63}",
    autocomplete: "off", "aria-describedby": "new-hint",
  });
  return element("form", { onsubmit: async (event) => {
    event.preventDefault();
    try {
      const bot = await call("POST", "v1/bots", { body: { name: name.value } });
      reveal(secret, bot.name, bot.token);
      name.value = "";
    } catch (error) { notice(error.message, true); }
  } },
    ...field("New bot", name),
    element("p", { id: "new-hint", class: "hint" }, "1 to 63 of a-z, 0-9, '.', '_' and '-'; also its name at the node."),
    element("div", { class: "row" }, element("button", { type: "submit" }, "Create")));
}

/** A token, which is shown this once. */
function reveal(place, name, token) {
  const shown = element("code", { tabindex: "-1" }, token ?? "(was shown before)");
  place.replaceChildren(element("div", { class: "secret" },
    element("p", {}, `The token of ${name}. It is shown only now:`), shown,
    element("div", { class: "row" },
      element("button", { type: "button", onclick: () => place.replaceChildren() }, "I have it"))));
  shown.focus();
}

/** An open bot: what can change is written in place, so that the focus and a shown token stay. */
function newDetail(id, signal) {
  const name = element("h2", { tabindex: "-1" });
  const facts = ["Bot", "Identity", "State", "Invitations"].map((term) => pair(term));
  const [, identity, state, invitations] = facts.map(([, what]) => what);
  facts[0][1].append(element("code", {}, id));
  const behind = listing(
    "Consumers", "How many events each has not acknowledged", ["Name", "Behind", "Set aside"]);
  const hooks = listing("Webhooks", "Where events go", ["Target", "State", "Last error"]);
  const tokens = element("tbody");
  const secret = element("div");
  const refresh = async () => {
    const [bot, issued] = await Promise.all([
      get(`v1/bots/${id}`, signal), all(`v1/bots/${id}/tokens`, signal)]);
    name.textContent = bot.name;
    identity.replaceChildren(element("code", {}, bot.identity));
    state.replaceChildren(stateOf(bot));
    invitations.textContent = bot.invite_policy?.policy ?? "\u2013";
    fill(behind, bot.health.consumers, (one) => one.name, (one) => [
      one.name, String(one.lag), String(one.parked ?? 0)]);
    fill(hooks, bot.health.webhooks, (one) => one.webhook_id, (one) => [
      one.url,
      one.enabled ? mark("good", "on") : mark("bad", "off"),
      one.last_error ?? "\u2013"]);
    const row = (token) => tokenRow(bot, token, refresh);
    keep(tokens, issued, (token) => token.token_id, row, () => {});
  };
  const issue = async () => {
    try {
      const made = await call("POST", `v1/bots/${id}/tokens`, { body: { label: "console" } });
      reveal(secret, name.textContent, made.token);
      await refresh();
    } catch (error) { notice(error.message, true); }
  };
  const parts = [
    name, element("dl", {}, facts.flat()), behind.whole, hooks.whole,
    element("h3", {}, "Tokens"), secret,
    table("Who may act as this bot", ["Token", "May", "Issued", "Ends", "Revoke"], tokens),
    element("div", { class: "row" },
      element("button", { type: "button", class: "plain", onclick: issue }, "Issue a token"))];
  return { id, parts, refresh };
}

function pair(term) {
  return [element("dt", {}, term), element("dd")];
}

function table(caption, names, rows) {
  return element("div", { class: "scroll" }, element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, names.map((name) => heading(name)))), rows));
}

/** A table with a heading, neither of which is there while it has no rows. */
function listing(title, caption, names) {
  const rows = element("tbody");
  const parts = [element("h3", {}, title), table(caption, names, rows)];
  return { whole: element("div"), parts, rows };
}

function fill({ whole, parts, rows }, items, key, cells) {
  const list = items ?? [];
  if (list.length === 0) whole.replaceChildren();
  else if (whole.children.length === 0) whole.append(...parts);
  keep(rows, list, key, () => element("tr"), (row, one) => {
    row.replaceChildren(...cells(one).map((cell) => element("td", {}, cell)));
  });
}

function tokenRow(bot, token, refresh) {
  const revoke = async () => {
    if (!confirm(`Revoke the token "${token.label || token.token_id}" of ${bot.name}?`)) return;
    try {
      await call("DELETE", `v1/bots/${bot.bot_id}/tokens/${token.token_id}`);
      await refresh();
    } catch (error) { notice(error.message, true); }
  };
  const cells = [
    token.label || element("code", {}, token.token_id), token.scopes.join(" "),
    when(token.created_at),
    token.expires_at ? when(token.expires_at) : "never",
    element("button", { type: "button", class: "danger", onclick: revoke }, "Revoke")];
  return element("tr", {}, cells.map((cell) => element("td", {}, cell)));
}
