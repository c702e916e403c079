/* What went wrong, in words that say what to do. */

import { Failure } from "./api.js";
import { h } from "./dom.js";

const TITLES = {
  voice_not_found: "That voice is not there any more",
  invalid_text: "That cannot be spoken",
  invalid_audio: "That recording cannot be used",
  prompt_too_long: "That is too long for the model",
  too_large: "That is too much at once",
  not_installed: "The server lacks a package",
  restarting: "The server is restarting",
  generation_failed: "The model failed",
};
const MICROPHONE = {
  NotAllowedError: "The browser has no leave to use the microphone. Allow it beside the address, then record again.",
  NotFoundError: "There is no microphone. Plug one in, or choose a file instead.",
  NotReadableError: "Another program holds the microphone. Close it, then record again.",
};

/** A title, a text, and whether asking again could help. */
export function explain(error) {
  if (!(error instanceof Failure)) return { title: "Something on this page failed", text: sentence(error.message), again: true };
  const { status, code, retrySeconds } = error;
  const wait = retrySeconds ? ` Try again in about ${retrySeconds} s.` : "";
  if (status === 0) return { title: "The server does not answer", text: `${sentence(error.message)} If it has stopped, “parlando serve” in a terminal starts it.`, again: true };
  if (status === 401) return { title: "This server asks for an API key", text: "Enter it in the settings. Whoever runs the server can make one.", key: true };
  if (status === 429) return { title: "That was too much for now", text: sentence(error.message) + wait, again: true };
  if (status === 503 && code !== "restarting") return { title: "The server is busy", text: sentence(error.message) + wait, again: true };
  const otherwise = status >= 500 ? "The server failed" : "The server did not accept that";
  return { title: TITLES[code] ?? otherwise, text: sentence(error.message) + wait, again: status >= 500 };
}

/** Why there is no microphone. */
export function explainMicrophone(error) {
  return MICROPHONE[error.name] ?? sentence(error.message);
}

/** A server's message as a sentence. */
function sentence(message) {
  const text = message.trim();
  return text && text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");
}

/** Fill an element of role alert and show it; `actions` are [label, function]. */
export function show(element, { title, text }, actions = []) {
  const buttons = actions.map(([label, onclick]) => h("button", { type: "button", className: "quiet", onclick }, label));
  element.replaceChildren(...(title ? [h("strong", {}, title)] : []), h("span", {}, text), h("div", {}, ...buttons));
  element.hidden = false;
}

export function hide(element) {
  element.hidden = true;
  element.replaceChildren();
}
