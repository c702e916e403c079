/* The list of what was made: hear it again, keep it as a file, go on from its text, forget it. */

import { Clip, saveFile, toFloat32, toInt16 } from "./clip.js";
import { ago, byId, clock, h, playIcon } from "./dom.js";
import { openHistory } from "./history.js";

export class Past {
  /** `onOpen(entry, clip)` is called to hear one, `onReuse(entry)` to go on from one, `onFailure` with what failed. */
  constructor(onOpen, onReuse, onFailure) {
    Object.assign(this, { onOpen, onReuse, onFailure, shown: null });
    this.ready = openHistory().then((history) => {
      this.history = history;
      this.render();
    });
    byId("forget").addEventListener("click", () => this.clear());
  }

  async add(entry, clip) {
    await this.ready;
    const { rate, seconds, turns, sentences } = clip;
    const kept = await this.history.add({ ...entry, rate, seconds, turns, sentences }, toInt16(clip.part(0, clip.length)));
    this.shown = kept.id;
    this.render();
  }

  /** Mark the entry that is in hand. */
  mark(id) {
    this.shown = id;
    this.render();
  }

  render() {
    const entries = this.history?.entries ?? [];
    const place = this.focused();
    byId("entries").replaceChildren(...entries.map((entry) => this.row(entry)));
    byId("forget").hidden = !entries.length;
    if (place) byId("entries").children[Math.min(place.row, entries.length - 1)]?.querySelectorAll("button")[place.button]?.focus();
  }

  /** Which button of which row has the focus, to give it back. */
  focused() {
    const row = [...byId("entries").children].findIndex((item) => item.contains(document.activeElement));
    if (row < 0) return null;
    return { row, button: [...byId("entries").children[row].querySelectorAll("button")].indexOf(document.activeElement) };
  }

  row(entry) {
    const short = entry.said.length > 48 ? `${entry.said.slice(0, 47)}…` : entry.said;
    const button = (text, label, onclick, className = "quiet") =>
      h("button", { type: "button", className, "aria-label": `${label}: ${short}`, onclick }, text);
    const facts = [entry.voices.join(", "), clock(entry.seconds), entry.seed && `seed ${entry.seed}`, ago(Date.now() - entry.at)];
    const tools = [button("Download", "Download", () => this.save(entry)), button("Forget", "Forget", () => this.forget(entry))];
    // A recording is not kept, so that there is nothing to go on from.
    if (entry.draft.mode !== "recording") tools.splice(1, 0, button("Edit", "Edit again", () => this.onReuse(entry)));
    return h("li", { className: entry.id === this.shown ? "entry shown" : "entry" },
      button(playIcon(), "Hear", () => this.open(entry), "round"),
      h("div", {}, h("p", { className: "said", title: entry.said }, entry.said), h("p", { className: "hint" }, facts.filter(Boolean).join(" · "))),
      h("div", { className: "entry-tools" }, ...tools));
  }

  async open(entry) {
    const samples = await this.history.sound(entry.id);
    if (!samples) return this.forget(entry);
    const clip = Clip.of(toFloat32(samples), entry.rate);
    Object.assign(clip, { turns: entry.turns, sentences: entry.sentences ?? [] });
    this.onOpen(entry, clip);
    this.mark(entry.id);
  }

  async save(entry) {
    const samples = await this.history.sound(entry.id);
    await saveFile(samples, entry.rate, entry.said, byId("format").value).catch(this.onFailure);
  }

  async forget(entry) {
    await this.history.remove(entry.id);
    this.render();
    if (!this.history.entries.length) byId("past-title").focus();
  }

  async clear() {
    if (!confirm("Forget everything that was made on this page?")) return;
    await this.history.clear();
    this.render();
    byId("past-title").focus();
  }
}
