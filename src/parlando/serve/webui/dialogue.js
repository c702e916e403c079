/* The dialogue editor: speakers, each with a voice, and the lines they say. */

import { byId, h } from "./dom.js";

const MOST_SPEAKERS = 6;
const MOST_LINES = 200;
const NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eve", "Finn"];
const NAMED = /^\s*([\p{L}\p{N}][\p{L}\p{N} ._-]{0,23}):\s*(.*)$/u;

export class Dialogue {
  constructor(onChange) {
    this.onChange = onChange;
    this.voices = [];
    this.speakers = [];
    this.lines = [];
    byId("add-line").addEventListener("click", () => this.addLine(this.lines.length));
    byId("add-speaker").addEventListener("click", () => this.addSpeaker());
    this.load({});
  }

  /** What is written, as `load` puts it back. */
  get state() {
    return { speakers: this.speakers.map((each) => ({ ...each })), lines: this.lines.map((each) => ({ ...each })) };
  }

  load({ speakers = [], lines = [] }) {
    this.speakers = speakers.slice(0, MOST_SPEAKERS);
    while (this.speakers.length < 2) this.speakers.push({ name: this.freeName(), voice: "", fresh: true });
    const count = this.speakers.length;
    this.lines = lines.slice(0, MOST_LINES).map((line) => ({ ...line, speaker: Math.min(line.speaker, count - 1) }));
    while (this.lines.length < 2) this.lines.push({ speaker: this.lines.length % 2, text: "" });
    this.render();
  }

  /** The voices that speakers may have, `[{name, title}]`; whoever has none takes the next one. */
  offer(voices) {
    this.voices = voices;
    this.speakers.forEach((speaker, index) => {
      if (!voices.some(({ name }) => name === speaker.voice)) speaker.voice = voices[index % voices.length]?.name ?? "";
    });
    this.renderSpeakers();
  }

  /** What is to be said: `[{text, voice, owner, row}]`, empty lines left out. */
  script() {
    const full = this.lines.map(({ speaker, text }, row) => ({ text: text.trim(), voice: this.speakers[speaker].voice, owner: speaker + 1, row }));
    return full.filter(({ text }) => text);
  }

  /** Take `[[name, words]]` in place of all that is written; `speakers` has what a name's voice is described as. */
  write(speakers, script) {
    const names = Object.keys(speakers);
    const fitting = names.map((name, index) => this.voices.find(({ description }) => speakers[name].test(description)) ?? this.voices[index]);
    const lines = script.map(([name, text]) => ({ speaker: names.indexOf(name), text }));
    this.load({ speakers: names.map((name, index) => ({ name, voice: fitting[index]?.name ?? "" })), lines });
  }

  /** Mark the line that is heard. */
  mark(row) {
    [...byId("lines").children].forEach((item, index) => item.classList.toggle("now", index === row));
  }

  focus(row = 0) {
    byId("lines").children[row]?.querySelector("textarea").focus();
  }

  render() {
    this.renderSpeakers();
    this.renderLines();
  }

  renderSpeakers() {
    byId("speakers").replaceChildren(...this.speakers.map((_, index) => this.speakerItem(index)));
    byId("add-speaker").hidden = this.speakers.length >= MOST_SPEAKERS;
  }

  speakerItem(index) {
    const speaker = this.speakers[index];
    const label = `Speaker ${index + 1}`;
    const name = h("input", { type: "text", value: speaker.name, maxLength: 24, "aria-label": `${label}: name`, autocomplete: "off" });
    name.addEventListener("input", () => {
      Object.assign(speaker, { name: name.value, fresh: false });
      this.renderLines();
      this.onChange();
    });
    const voice = h("select", { "aria-label": `${label}: voice` }, ...this.voices.map(({ name, title }) => new Option(title, name)));
    voice.value = speaker.voice;
    voice.addEventListener("change", () => {
      speaker.voice = voice.value;
      this.onChange();
    });
    const remove = this.tool("×", `Remove ${label.toLowerCase()}`, this.speakers.length <= 2, () => this.removeSpeaker(index));
    return h("li", { className: `speaker own-${index + 1}` }, name, voice, remove);
  }

  renderLines() {
    byId("lines").replaceChildren(...this.lines.map((_, row) => this.lineItem(row)));
  }

  lineItem(row) {
    const line = this.lines[row];
    const options = this.speakers.map(({ name }, index) => new Option(name || `Speaker ${index + 1}`, index));
    const who = h("select", { "aria-label": `Line ${row + 1}: speaker` }, ...options);
    who.value = line.speaker;
    who.addEventListener("change", () => {
      line.speaker = Number(who.value);
      item.className = `line own-${line.speaker + 1}`;
      this.onChange();
    });
    const placeholder = row === 0 ? "Who begins, and with what?" : row === 1 ? "And the answer?" : "";
    const words = h("textarea", { value: line.text, rows: 1, placeholder, "aria-label": `Line ${row + 1}: words`, "aria-describedby": "lines-help" });
    words.addEventListener("input", () => {
      line.text = words.value;
      this.onChange();
    });
    words.addEventListener("keydown", (event) => this.onKey(event, row));
    words.addEventListener("paste", (event) => this.onPaste(event, row));
    const tools = h("div", { className: "line-tools" },
      this.tool("↑", `Move line ${row + 1} up`, row === 0, () => this.moveLine(row, row - 1)),
      this.tool("×", `Remove line ${row + 1}`, this.lines.length <= 1, () => this.removeLine(row)));
    const item = h("li", { className: `line own-${line.speaker + 1}` }, who, words, tools);
    return item;
  }

  tool(sign, label, disabled, onclick) {
    return h("button", { type: "button", className: "tool", "aria-label": label, title: label, disabled, onclick }, sign);
  }

  onKey(event, row) {
    const { key, altKey, shiftKey, ctrlKey, metaKey, isComposing, target } = event;
    if (isComposing || ctrlKey || metaKey) return;
    if (key === "Enter" && !shiftKey) this.addLine(row + 1);
    else if (key === "Backspace" && !target.value && this.lines.length > 1) this.removeLine(row, true);
    else if (altKey && key === "ArrowUp") this.moveLine(row, row - 1);
    else if (altKey && key === "ArrowDown") this.moveLine(row, row + 1);
    else return;
    event.preventDefault();
  }

  /** A script of “Name: words” lines becomes lines of the dialogue, with its speakers. */
  onPaste(event, row) {
    const rows = event.clipboardData.getData("text").split(/\r?\n/).filter((each) => each.trim());
    const parsed = rows.map((each) => NAMED.exec(each));
    if (rows.length < 2 || !parsed.some(Boolean)) return;
    event.preventDefault();
    let speaker = this.lines[row].speaker;
    const pasted = rows.map((text, index) => {
      if (parsed[index]) speaker = this.speakerNamed(parsed[index][1].trim());
      return { speaker, text: parsed[index] ? parsed[index][2] : text.trim() };
    });
    const here = this.lines[row].text.trim() ? row + 1 : row;
    const after = this.lines.slice(row + 1).filter(({ text }) => text.trim());
    this.lines = [...this.lines.slice(0, here), ...pasted, ...after].slice(0, MOST_LINES);
    this.renderSpeakers();
    this.changed(Math.min(here + pasted.length, this.lines.length) - 1);
  }

  /** The speaker of a name: a known one, one whose name nobody has used, or a new one. */
  speakerNamed(name) {
    const known = this.speakers.findIndex((each) => each.name.toLowerCase() === name.toLowerCase());
    if (known >= 0) return known;
    const idle = this.speakers.findIndex(({ fresh }, index) => fresh && !this.lines.some((line) => line.speaker === index && line.text));
    const free = idle >= 0 ? idle : this.speakers.length < MOST_SPEAKERS ? this.pushSpeaker() : 0;
    Object.assign(this.speakers[free], { name, fresh: false });
    return free;
  }

  freeName() {
    return NAMES.find((name) => !this.speakers.some((each) => each.name === name)) ?? `Speaker ${this.speakers.length + 1}`;
  }

  pushSpeaker() {
    const voice = this.voices.find(({ name }) => !this.speakers.some((speaker) => speaker.voice === name)) ?? this.voices[0];
    return this.speakers.push({ name: this.freeName(), voice: voice?.name ?? "", fresh: true }) - 1;
  }

  addSpeaker() {
    const index = this.pushSpeaker();
    this.render();
    this.onChange();
    byId("speakers").children[index].querySelector("input").select();
  }

  removeSpeaker(index) {
    this.speakers.splice(index, 1);
    for (const line of this.lines) {
      if (line.speaker >= index) line.speaker = Math.max(0, line.speaker - 1);
    }
    this.render();
    this.onChange();
    byId("add-speaker").focus();
  }

  /** A new line, by whoever spoke before the last one. */
  addLine(row) {
    if (this.lines.length >= MOST_LINES) return;
    const before = this.lines[row - 1]?.speaker ?? 0;
    const other = this.lines.slice(0, row).findLast(({ speaker }) => speaker !== before)?.speaker;
    this.lines.splice(row, 0, { speaker: other ?? (before + 1) % this.speakers.length, text: "" });
    this.changed(row);
  }

  removeLine(row, backwards = false) {
    this.lines.splice(row, 1);
    this.changed(backwards ? Math.max(0, row - 1) : Math.min(row, this.lines.length - 1));
  }

  moveLine(from, to) {
    if (to < 0 || to >= this.lines.length) return;
    this.lines.splice(to, 0, ...this.lines.splice(from, 1));
    this.changed(to);
  }

  changed(row) {
    this.renderLines();
    this.onChange();
    this.focus(row);
  }
}
