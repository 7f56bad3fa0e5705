// Signs in and shows the page that fits the token: the admin's or a bot's.

import { forgetToken, get, hasToken, Problem, setToken } from "./api.js";
import { adminPage } from "./admin.js";
import { botPage } from "./bot.js";
import { element, field, notice, show } from "./dom.js";

let page = null;

/** Ends what the shown page does. */
function close() {
  page?.abort();
  page = null;
}

function signOut() {
  close();
  forgetToken();
  document.getElementById("who").textContent = "";
  document.getElementById("leave").hidden = true;
  notice("");
  signIn();
}

function signIn() {
  const token = element("input", {
    id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true,
    "aria-describedby": "token-hint",
  });
  const keep = element("input", { id: "keep", type: "checkbox" });
  const form = element("form", { class: "card narrow", onsubmit: async (event) => {
    event.preventDefault();
    setToken(token.value.trim(), keep.checked);
    await open();
  } },
    element("h2", {}, "Sign in"),
    ...field("Token", token),
    element("p", { id: "token-hint", class: "hint" },
      "The admin token manages bots; a bot's token shows its groups. The admin token is in the " +
      "file that was printed when the gateway started."),
    element("label", { class: "inline" }, keep, "Keep it until this tab is closed"),
    element("div", { class: "row" }, element("button", { type: "submit" }, "Sign in")));
  show(form);
  token.focus();
}

async function open() {
  close();
  page = new AbortController();
  const signal = page.signal;
  try {
    const me = await whoAmI(signal);
    document.getElementById("leave").hidden = false;
    notice("");
    if (me === null) {
      document.getElementById("who").textContent = "Admin";
      await adminPage(signal);
    } else {
      document.getElementById("who").textContent = `Bot ${me.name}`;
      await botPage(me, signal);
    }
  } catch (error) {
    if (signal.aborted) return;
    notice(error.message, true);
    if (error instanceof Problem && error.status === 401) {
      close();
      forgetToken();
      document.getElementById("leave").hidden = true;
      signIn();
    }
  }
}

/** The bot of the token; null for the admin token. */
async function whoAmI(signal) {
  try {
    return await get("v1/me", signal);
  } catch (error) {
    if (error instanceof Problem && error.word === "admin-token-refused") return null;
    throw error;
  }
}

document.getElementById("leave").addEventListener("click", signOut);
if (hasToken()) open();
else signIn();
