/* The voices: a list to choose from, and the dialog that adds one. */

import { addVoice, deleteVoice, listVoices } from "./api.js";
import { byId, check, checkedValue, h } from "./dom.js";
import { explain, hide, show } from "./notice.js";
import { Take } from "./take.js";

const MANY = 12;
const READINGS = [
  "The north wind and the sun were arguing which of them was the stronger, when a traveller came along, wrapped in a warm cloak.",
  "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow, a division of white light into many colours.",
  "Please call me on Thursday. I have six fresh peaches, a bag of blue cheese, and two small jars of honey for your brother’s birthday.",
];

export class Voices {
  /** `onChange` is called when the list or the choice has changed, `onFailure` with what failed. */
  constructor(sampler, onChange, onFailure) {
    Object.assign(this, { sampler, onChange, onFailure, all: [], chosen: "" });
    byId("voices").addEventListener("change", () => this.choose(checkedValue("voice")));
    byId("quick-voice").addEventListener("change", ({ target }) => this.choose(target.value));
    byId("filter").addEventListener("input", () => this.filter());
    setUpDialog((name) => this.refresh(name));
  }

  /**
   * Those that can be chosen; names that stand for another voice are left out. `title` is what people are shown.
   * Chosen is the first of `wanted` that is there, or stays what is.
   */
  async refresh(...wanted) {
    const listed = (await listVoices()).filter(({ origin }) => origin !== "alias");
    this.all = listed.map((voice) => ({ ...voice, title: voice.display_name ?? voice.name }));
    const there = [...wanted, this.chosen].find((choice) => this.all.some(({ name }) => name === choice));
    this.render();
    this.choose(there ?? this.all[0]?.name ?? "");
  }

  choose(name) {
    this.chosen = name;
    check("voice", name);
    byId("quick-voice").value = name;
    this.onChange();
  }

  /** What people are shown for a voice's name. */
  titleOf(name) {
    return this.all.find((voice) => voice.name === name)?.title ?? name;
  }

  render() {
    const list = byId("voices");
    this.sampler.stop();
    byId("quick-voice").replaceChildren(...this.all.map(({ name, title }) => new Option(title, name)));
    list.replaceChildren(list.firstElementChild, ...this.all.map((voice) => this.row(voice)));
    if (!this.all.length) list.append(h("p", { className: "hint" }, "There are no voices yet. Add yours."));
    byId("filter-row").hidden = this.all.length <= MANY;
  }

  row(voice) {
    const { name, title, origin, description } = voice;
    const note = description ?? { uploaded: "Yours", preset: "A preset" }[origin];
    const named = h("b", {}, title, ...(title.toLowerCase() === name.toLowerCase() ? [] : [" ", h("code", {}, name)]));
    const words = h("span", {}, named, ...(note ? [h("small", {}, note)] : []));
    const row = h("div", { className: "voice" }, this.sampler.button(voice), h("label", {}, h("input", { type: "radio", name: "voice", value: name }), words));
    row.dataset.name = `${title} ${name} ${note ?? ""}`.toLowerCase();
    if (origin === "uploaded") {
      const onclick = () => this.remove(name);
      row.append(h("button", { type: "button", className: "tool", "aria-label": `Delete the voice ${name}`, title: "Delete", onclick }, "×"));
    }
    return row;
  }

  filter() {
    const wanted = byId("filter").value.trim().toLowerCase();
    for (const row of byId("voices").querySelectorAll(".voice")) row.hidden = !row.dataset.name.includes(wanted);
  }

  async remove(name) {
    if (!confirm(`Delete the voice “${name}” and its recordings from the server?`)) return;
    try {
      await deleteVoice(name);
      await this.refresh();
      document.querySelector('input[name="voice"]:checked')?.focus();
    } catch (error) {
      this.onFailure(error);
    }
  }
}

function setUpDialog(onSaved) {
  const dialog = byId("voice-dialog");
  const take = new Take("voice", () => hide(byId("voice-error")), wrong);
  for (const button of document.querySelectorAll('[data-opens="voice-dialog"]')) {
    button.addEventListener("click", () => {
      hide(byId("voice-error"));
      dialog.showModal();
    });
  }
  document.querySelector('[data-closes="voice-dialog"]').addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => take.abandon());
  byId("suggest").addEventListener("click", suggest);
  byId("voice-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const name = await save(take).catch((error) => void wrong(null, explain(error)));
    if (!name) return;
    byId("voice-form").reset();
    take.clear();
    dialog.close();
    await onSaved(name);
  });
}

/** Check the form, send it, and return the voice's name; undefined when something is missing. */
async function save(take) {
  hide(byId("voice-error"));
  for (const field of byId("voice-form").querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  await take.finish();
  const missing = [
    [take.blob, take.control, "Choose a file, or record something."],
    [byId("voice-text").value.trim(), "voice-text", "Write down the words that are said in the recording."],
    [/^[A-Za-z0-9][\w-]*$/.test(byId("voice-name").value), "voice-name", "Give the voice a name of letters, digits, - and _."],
    [byId("voice-who").value.trim(), "voice-who", "Say who is speaking."],
    [byId("voice-consent").checked, "voice-consent", "Only use a voice whose owner has allowed it. Tick the box if that is so."],
  ].find(([there]) => !there);
  if (missing) return wrong(missing[1], { text: missing[2] });
  const form = new FormData();
  form.set("audio_sample", take.blob, take.blob.name ?? "recording.wav");
  form.set("name", byId("voice-name").value);
  form.set("text", byId("voice-text").value.trim());
  form.set("language", byId("voice-language").value);
  form.set("consent", `${byId("voice-who").value.trim()}; confirmed on the page, ${new Date().toISOString().slice(0, 10)}`);
  const button = byId("voice-save");
  button.disabled = true;
  button.textContent = "Saving …";
  try {
    return (await addVoice(form)).name;
  } finally {
    button.disabled = false;
    button.textContent = "Save the voice";
  }
}

function wrong(id, what) {
  show(byId("voice-error"), what);
  byId("voice-error").scrollIntoView({ block: "nearest" });
  if (!id) return;
  byId(id).setAttribute("aria-invalid", "true");
  byId(id).focus();
}

function suggest() {
  const field = byId("voice-text");
  field.value = READINGS[(READINGS.indexOf(field.value) + 1) % READINGS.length];
  field.focus();
}
