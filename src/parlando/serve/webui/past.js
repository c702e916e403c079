/* The list of what was made: hear it again, keep it as a file, go on from its text, forget it. */

import { Clip, download, fileName, toFloat32, toInt16, wavBlob } from "./clip.js";
import { ago, byId, clock, h, playIcon } from "./dom.js";
import { openHistory } from "./history.js";

export class Past {
  /** `onOpen(entry, clip)` is called to hear one, `onReuse(entry)` to go on from one. */
  constructor(onOpen, onReuse) {
    Object.assign(this, { onOpen, onReuse, shown: null });
    this.ready = openHistory().then((history) => {
      this.history = history;
      this.render();
    });
    byId("forget").addEventListener("click", () => this.clear());
  }

  async add(entry, clip) {
    await this.ready;
    const kept = await this.history.add({ ...entry, rate: clip.rate, seconds: clip.seconds, turns: clip.turns }, toInt16(clip.part(0, clip.length)));
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
    const facts = [entry.voices.join(", "), clock(entry.seconds), `seed ${entry.seed}`, ago(Date.now() - entry.at)];
    return h("li", { className: entry.id === this.shown ? "entry shown" : "entry" },
      button(playIcon(), "Hear", () => this.open(entry), "round"),
      h("div", {}, h("p", { className: "said", title: entry.said }, entry.said), h("p", { className: "hint" }, facts.join(" · "))),
      h("div", { className: "entry-tools" },
        button("Download", "Download", () => this.save(entry)),
        button("Edit", "Edit again", () => this.onReuse(entry)),
        button("Forget", "Forget", () => this.forget(entry))));
  }

  async open(entry) {
    const samples = await this.history.sound(entry.id);
    if (!samples) return this.forget(entry);
    const clip = Clip.of(toFloat32(samples), entry.rate);
    clip.turns = entry.turns;
    this.onOpen(entry, clip);
    this.mark(entry.id);
  }

  async save(entry) {
    download(wavBlob(await this.history.sound(entry.id), entry.rate), fileName(entry.said));
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
