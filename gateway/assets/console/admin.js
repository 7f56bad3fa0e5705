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
  let chosen = null;
  const choose = async (bot) => {
    chosen = bot.bot_id;
    await showDetail(detail, chosen, signal);
    detail.querySelector("h2")?.focus();
  };
  await repeat(async () => {
    const bots = await all("v1/bots", signal);
    update(rows, bots, choose);
    if (chosen !== null && !detail.contains(document.activeElement)) {
      if (bots.some((bot) => bot.bot_id === chosen)) await showDetail(detail, chosen, signal);
      else detail.hidden = true;
    }
    await pause(EVERY_MS, signal);
  }, signal);
}

function heading(text, isNumber) {
  return element("th", { scope: "col", class: isNumber ? "number" : undefined }, text);
}

/** Rows in place, so that the focus stays where it is. */
function update(rows, bots, choose) {
  const known = new Map([...rows.children].map((row) => [row.dataset.bot, row]));
  for (const bot of bots) {
    const row = known.get(bot.bot_id) ?? newRow(bot, choose);
    known.delete(bot.bot_id);
    const [, state, , stock, groups, unsent] = row.children;
    state.replaceChildren(stateOf(bot));
    const packages = bot.health.key_packages.map((kind) => `${kind.post_quantum} ${kind.count}`);
    stock.textContent = packages.join(", ") || "\u2013";
    groups.textContent = bot.health.groups ?? "\u2013";
    unsent.textContent = bot.health.outbox;
    rows.append(row);
  }
  for (const row of known.values()) row.remove();
}

function newRow(bot, choose) {
  const open = element("button", { type: "button", class: "plain", onclick: () => choose(bot) }, bot.name);
  const row = element("tr", {},
    element("th", { scope: "row" }, open), element("td"), element("td", {}, short(bot.identity)),
    element("td"), element("td", { class: "number" }), element("td", { class: "number" }),
    element("td", {}, when(bot.created_at)));
  row.dataset.bot = bot.bot_id;
  return row;
}

function stateOf(bot) {
  const reason = bot.health.reason ? ` (${bot.health.reason})` : "";
  return element("span", { class: `state ${GOOD[bot.state] ?? "bad"}` }, bot.state + reason);
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

async function showDetail(place, id, signal) {
  const [bot, tokens] = await Promise.all([
    get(`v1/bots/${id}`, signal), all(`v1/bots/${id}/tokens`, signal)]);
  const secret = element("div");
  place.hidden = false;
  place.replaceChildren(
    element("h2", { tabindex: "-1" }, bot.name),
    element("dl", {},
      ...pair("Bot", element("code", {}, bot.bot_id)),
      ...pair("Identity", element("code", {}, bot.identity)),
      ...pair("State", stateOf(bot)),
      ...pair("Invitations", bot.invite_policy?.policy ?? "\u2013")),
    ...consumers(bot.health.consumers), ...webhooks(bot.health.webhooks),
    element("h3", {}, "Tokens"), secret, tokenTable(bot, tokens, place, signal),
    element("div", { class: "row" },
      element("button", { type: "button", class: "plain", onclick: async () => {
        try {
          const made = await call("POST", `v1/bots/${id}/tokens`, { body: { label: "console" } });
          await showDetail(place, id, signal);
          reveal(place.querySelector("h3 + div") ?? secret, bot.name, made.token);
        } catch (error) { notice(error.message, true); }
      } }, "Issue a token")));
}

function pair(term, ...what) {
  return [element("dt", {}, term), element("dd", {}, ...what)];
}

function table(caption, names, rows) {
  return element("div", { class: "scroll" }, element("table", {},
    element("caption", {}, caption),
    element("thead", {}, element("tr", {}, names.map((name) => heading(name)))),
    element("tbody", {}, rows.map((cells) => element("tr", {}, cells.map((cell) => element("td", {}, cell)))))));
}

function consumers(list) {
  if (!list || list.length === 0) return [];
  const rows = list.map((one) => [one.name, String(one.lag), String(one.parked ?? 0)]);
  return [element("h3", {}, "Consumers"),
    table("How many events each has not acknowledged", ["Name", "Behind", "Set aside"], rows)];
}

function webhooks(list) {
  if (!list || list.length === 0) return [];
  const rows = list.map((one) => [
    one.url, element("span", { class: `state ${one.enabled ? "good" : "bad"}` }, one.enabled ? "on" : "off"),
    one.last_error ?? "\u2013"]);
  return [element("h3", {}, "Webhooks"), table("Where events go", ["Target", "State", "Last error"], rows)];
}

function tokenTable(bot, tokens, place, signal) {
  const rows = tokens.map((token) => [
    token.label || element("code", {}, token.token_id), token.scopes.join(" "), when(token.created_at),
    token.expires_at ? when(token.expires_at) : "never",
    element("button", { type: "button", class: "danger", onclick: async () => {
      if (!confirm(`Revoke the token "${token.label || token.token_id}" of ${bot.name}?`)) return;
      try {
        await call("DELETE", `v1/bots/${bot.bot_id}/tokens/${token.token_id}`);
        await showDetail(place, bot.bot_id, signal);
      } catch (error) { notice(error.message, true); }
    } }, "Revoke")]);
  return table("Who may act as this bot", ["Token", "May", "Issued", "Ends", "Revoke"], rows);
}
