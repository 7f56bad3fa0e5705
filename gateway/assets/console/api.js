// The gateway's API as the console uses it. The token stays in this page; only where that was
// asked for does the browser keep it until the tab is closed.

const BASE = new URL(".", location.href);
const KEPT = "qpq-token";

let token = sessionStorage.getItem(KEPT);

/** An RFC 9457 problem. */
export class Problem extends Error {
  constructor(status, body) {
    const errors = (body.errors ?? []).map((error) => `${error.pointer}: ${error.detail}`);
    super([body.detail ?? body.title ?? `status ${status}`, ...errors].join(" "));
    this.status = status;
    this.word = (body.type ?? "").split(/[:/]/).pop();
  }
}

export function hasToken() {
  return token !== null;
}

export function setToken(text, keep) {
  token = text;
  if (keep) sessionStorage.setItem(KEPT, text);
  else sessionStorage.removeItem(KEPT);
}

export function forgetToken() {
  token = null;
  sessionStorage.removeItem(KEPT);
}

/** A key under which a request that is repeated is done once. */
export function requestKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Calls the API; the answer's JSON, or null where there is none. Throws `Problem`. */
export async function call(method, path, { body, key, signal } = {}) {
  const headers = { Authorization: `Bearer ${token}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET") headers["Idempotency-Key"] = key ?? requestKey();
  const answer = await fetch(new URL(path, BASE), {
    method, headers, signal, credentials: "omit", redirect: "error", cache: "no-store",
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const isJson = /json/.test(answer.headers.get("Content-Type") ?? "");
  const value = isJson && text !== "" ? JSON.parse(text) : null;
  if (!answer.ok) throw new Problem(answer.status, value ?? {});
  return value;
}

export const get = (path, signal) => call("GET", path, { signal });

/** All items of a list, page after page. */
export async function all(path, signal) {
  const items = [];
  let next = null;
  do {
    const join = path.includes("?") ? "&" : "?";
    const page = await get(next === null ? path : `${path}${join}after=${encodeURIComponent(next)}`, signal);
    items.push(...page.items);
    next = page.next ?? null;
  } while (next !== null && items.length < 10_000);
  return items;
}
