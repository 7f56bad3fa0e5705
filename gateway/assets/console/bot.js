// A bot's page: its groups, one conversation, and who is in it.

import { all, call, get, Problem } from "./api.js";
import { Conversation } from "./conversation.js";
import { element, notice, short, show } from "./dom.js";
import { pause, repeat } from "./live.js";

const LONG_POLL_MS = 25_000;
/** Problems of a cursor that no repetition mends. */
const LOST = ["cursor-expired", "cursor-invalid"];
const ABOUT_GROUPS = /^(group|invitation|identity)\./;

export async function botPage(me, signal) {
  const groups = element("ul", { class: "list" });
  const invitations = element("ul", { class: "list" });
  const talk = element("section", { class: "card talk", "aria-label": "Conversation" },
    element("p", { class: "hint" }, "Choose a group."));
  const people = element("aside", { class: "card", "aria-label": "Group" });
  show(element("div", { class: "bot" },
    element("nav", { class: "card", "aria-label": "Groups" },
      element("h2", {}, "Groups"), groups,
      element("h3", {}, "Invitations"), invitations),
    talk, people));

  let conversation = null;
  const refresh = async () => {
    const list = await all("v1/groups", signal);
    list.sort((one, other) => (one.name || one.group_id).localeCompare(other.name || other.group_id));
    const chosen = decodeURIComponent(location.hash.slice(1));
    const group = list.find((one) => one.group_id === chosen);
    groups.replaceChildren(...list.map((one) => entry(one, one === group)));
    if (list.length === 0) groups.append(element("li", { class: "hint" }, "None yet."));
    invitations.replaceChildren(...await invited(refresh, signal));
    if (group === undefined) return;
    if (conversation?.id !== group.group_id) conversation = new Conversation(talk, me, group, signal);
    conversation.setGroup(group);
    people.replaceChildren(...whoIsIn(group));
  };
  const open = async () => {
    await refresh();
    await conversation?.load();
  };
  addEventListener("hashchange", () => open().catch(tell), { signal });
  await open();

  // One loop hears everything: the log wakes it, and it asks for what the log says has changed.
  const tail = async () => (await get("v1/events?timeout=0", signal)).next;
  let after = await tail();
  await repeat(async () => {
    let page;
    try {
      page = await get(`v1/events?timeout=${LONG_POLL_MS}&limit=100&after=${encodeURIComponent(after)}`, signal);
    } catch (error) {
      if (!(error instanceof Problem) || !LOST.includes(error.word)) throw error;
      // The place in the log is gone (a tab that slept for long): begin anew with what is there now.
      after = await tail();
      return open();
    }
    after = page.next;
    if (page.items.some((event) => ABOUT_GROUPS.test(event.type))) await refresh();
    if (page.items.some((event) => event.group_id === conversation?.id && event.type !== "member.typing")) {
      await conversation.load();
      // What comes in a flood is read together.
      await pause(150, signal);
    }
  }, signal);
}

function tell(error) {
  notice(error.message, true);
}

function entry(group, isChosen) {
  const name = group.name || group.group_id.slice(0, 12);
  const state = group.state === "active" ? [] : [element("span", { class: "hint" }, ` ${group.state}`)];
  return element("li", {}, element("a", {
    href: `#${encodeURIComponent(group.group_id)}`, "aria-current": isChosen ? "page" : undefined,
  }, name, ...state));
}

async function invited(refresh, signal) {
  let list;
  try {
    list = await all("v1/invitations", signal);
  } catch {
    return [element("li", { class: "hint" }, "Not for this token.")];
  }
  if (list.length === 0) return [element("li", { class: "hint" }, "None.")];
  return list.map((one) => {
    const answer = async (what) => {
      try {
        await call("POST", `v1/invitations/${one.invitation_id}/${what}`);
        await refresh();
      } catch (error) { tell(error); }
    };
    const from = one.inviter.name ?? one.inviter.identity.slice(0, 12);
    return element("li", {}, `${one.group_name || "A group"}, from ${from}`,
      element("div", { class: "row" },
        element("button", { type: "button", onclick: () => answer("accept") }, "Accept"),
        element("button", { type: "button", class: "plain", onclick: () => answer("decline") }, "Decline")));
  });
}

function whoIsIn(group) {
  const members = group.members;
  const trust = { verified: "good", tofu: "warn", changed: "bad" };
  return [
    element("h2", {}, group.name || "Group"),
    group.topic ? element("p", {}, group.topic) : null,
    element("dl", {},
      element("dt", {}, "Epoch"), element("dd", {}, String(group.epoch)),
      element("dt", {}, "Policy"), element("dd", {}, group.post_quantum),
      element("dt", {}, "State"), element("dd", {}, group.state)),
    element("h3", {}, `Members (${members.length})`),
    element("ul", { class: "list" }, members.map((member) => element("li", {},
      member.name ?? short(member.identity), " ",
      element("span", { class: "hint" }, member.role), " ",
      element("span", { class: `state ${trust[member.trust] ?? "warn"}` }, member.trust)))),
  ].filter((part) => part !== null);
}
