/* The settings panel: read into the fields of a request, remembered, and put back. */

import { useKey } from "./api.js";
import { byId, check, checkedValue, h, recall, remember } from "./dom.js";

const FIELDS = ["seed", "speed", "temperature", "top_p", "top_k", "language", "model"];
const LANGUAGES = { en: "English", zh: "中文", ja: "日本語", ko: "한국어" };
const NUMBERS = ["temperature", "top_p", "top_k"];
export const LARGEST_SEED = 2n ** 63n - 1n;

let changed = () => {};

export function setUpSettings(onChange) {
  changed = onChange;
  apply(recall("settings", {}));
  for (const place of ["settings", "speed"]) byId(place).addEventListener("input", () => save());
  byId("format").value = recall("format", "mp3");
  byId("format").addEventListener("change", () => remember("format", byId("format").value));
  byId("reset").addEventListener("click", () => {
    apply({});
    save();
  });
  const theme = recall("theme", "");
  check("theme", theme);
  setTheme(theme);
  for (const input of document.querySelectorAll('input[name="theme"]')) {
    input.addEventListener("change", () => setTheme(input.value));
  }
  const key = byId("key");
  key.value = recall("key", "", "sessionStorage");
  useKey(key.value);
  key.addEventListener("input", () => {
    remember("key", key.value, "sessionStorage");
    useKey(key.value);
  });
}

/** Put values into the fields; what is left out is as at first. */
export function apply(values) {
  for (const name of FIELDS) byId(name).value = values[name] ?? (name === "speed" ? 1 : "");
  const model = byId("model");
  if (model.selectedIndex < 0) model.selectedIndex = 0;
  showSpeed();
}

/** The values, as they are put back by `apply`. */
export function values() {
  return Object.fromEntries(FIELDS.map((name) => [name, byId(name).value]).filter(([, value]) => value !== ""));
}

/** The fields of a request, or the first field that is wrong: `{body}` or `{wrong, text}`. */
export function requestFields() {
  const body = {};
  const seed = byId("seed").value.trim();
  if (seed && (!/^\d{1,19}$/.test(seed) || BigInt(seed) > LARGEST_SEED)) {
    return { wrong: "seed", text: "A seed is a whole number from 0 on. Leave it empty for a new one each time." };
  }
  if (seed) body.seed = BigInt(seed);
  for (const name of NUMBERS) {
    const input = byId(name);
    if (!input.validity.valid) {
      const label = input.labels[0].textContent;
      return { wrong: name, text: `${label} must be from ${input.min} to ${input.max}. Leave it empty for the model’s own.` };
    }
    if (input.value !== "") body[name] = Number(input.value);
  }
  const speed = Number(byId("speed").value);
  if (speed !== 1) body.speed = speed;
  if (byId("language").value) body.language = byId("language").value;
  if (byId("model").value) body.model = byId("model").value;
  return { body };
}

/** Offer models to choose from where there is a choice. */
export function offerModels(names) {
  offer("model", names.length < 2 ? [] : names.map((name) => [name, name]), recall("settings", {}).model);
}

/** Offer the languages that a model speaks, here and for voices that are added; a choice of one is none. */
export function offerLanguages(codes) {
  const named = codes.map((code) => [code, LANGUAGES[code] ?? code]);
  const ways = [["", "The voice’s"], ["auto", "By sentence"]];
  offer("language", codes.length < 2 ? [] : [...ways, ...named], recall("settings", {}).language);
  offer("voice-language", named, byId("voice-language").value);
  byId("voice-language-field").hidden = codes.length < 2;
}

/** Fill a choice, keeping what was chosen where it is there; without anything to choose it goes. */
function offer(id, options, chosen) {
  byId(id).replaceChildren(...options.map(([value, text]) => h("option", { value, lang: value in LANGUAGES ? value : "" }, text)));
  if (options.some(([value]) => value === chosen)) byId(id).value = chosen;
  byId(`${id}-field`).hidden = !options.length;
}

function save() {
  showSpeed();
  remember("settings", values());
  changed();
}

function showSpeed() {
  const text = `${Number(byId("speed").value)}×`;
  byId("speed-out").textContent = text;
  byId("speed").setAttribute("aria-valuetext", text);
}

function setTheme() {
  const theme = checkedValue("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  remember("theme", theme);
  changed();
}
