// Elements out of data. Text only ever becomes text: nothing that came over the wire is markup.

/** An element: `element("p", {class: "hint"}, "text", otherElement)`. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return made;
}

/** The main part of the page shows these. */
export function show(...children) {
  document.getElementById("main").replaceChildren(...children);
}

/** Says something where screen readers hear it. */
export function notice(text, isBad = false) {
  const line = document.getElementById("notice");
  line.classList.toggle("bad", isBad);
  if (line.textContent !== text) line.textContent = text;
}

/** A moment for people, in their own time zone. */
export function when(text) {
  const moment = new Date(text);
  const today = new Date().toDateString() === moment.toDateString();
  const shown = today ? moment.toLocaleTimeString() : moment.toLocaleString();
  return element("time", { datetime: text, title: text }, shown);
}

/** The first digits of an identity; the whole as its title. */
export function short(identity) {
  return element("code", { title: identity }, identity.slice(0, 12) + "\u2026");
}

/** A field with its label. */
export function field(label, input) {
  return [element("label", { for: input.id }, label), input];
}
