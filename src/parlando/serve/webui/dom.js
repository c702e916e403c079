/* Small helpers for the page: elements by id and by recipe, remembered values, and times as text. */

export const byId = (id) => document.getElementById(id);

/** An element: `h("button", {type: "button", onclick}, "Text")`. Names with a dash, and role, are attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

/** A play button's drawing. */
export function playIcon() {
  return byId("play").firstElementChild.cloneNode(true);
}

export function checkedValue(name) {
  return document.querySelector(`input[name="${name}"]:checked`)?.value ?? "";
}

export function check(name, value) {
  for (const input of document.querySelectorAll(`input[name="${name}"]`)) input.checked = input.value === value;
}

/** Remember something in this browser; where that is not allowed, for this visit only. */
const visit = new Map();

export function remember(name, value, where = "localStorage") {
  visit.set(name, value);
  try {
    window[where].setItem(`parlando.${name}`, JSON.stringify(value));
  } catch {
    // private windows, full disks: the visit's own memory has it
  }
}

export function recall(name, otherwise, where = "localStorage") {
  if (visit.has(name)) return visit.get(name);
  try {
    return JSON.parse(window[where].getItem(`parlando.${name}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** 83.25 as 1:23.2 */
export function clock(seconds) {
  const tenths = Math.floor(seconds * 10 + 1e-6);
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
}

export function ago(milliseconds) {
  const minutes = Math.round(milliseconds / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.round(minutes / 60)} h ago`;
  return `${Math.round(minutes / 1440)} days ago`;
}
