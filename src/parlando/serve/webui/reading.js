/*
 * The words that are said, the one that is heard marked. The server tells when each word of the text begins, and where
 * each sentence begins and ends and how it is read: until its first word is known, a word has the share of the time that
 * its letters are of all.
 */

import { byId, h } from "./dom.js";

const WORD = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{N}\p{M}]+(?:['’.,:][\p{L}\p{N}\p{M}]+)*/gu;
const LETTERS_PER_SECOND = 14; // until a sentence of the clip has ended
const PAUSE_LETTERS = 3; // what a comma is worth
const AT_AN_END = 0.5; // what a sentence's end in the text is worth against words that do not match
const LOOK_AHEAD_WORDS = 12;

/** The words of a text: `{word, start, end, pause, last}`, places in letters; `last` ends a sentence. */
export function wordsOf(text) {
  const found = [...text.matchAll(WORD)].map(({ 0: word, index }) => ({ word, start: index, end: index + word.length }));
  found.forEach((each, index) => {
    const gap = text.slice(each.end, found[index + 1]?.start ?? text.length);
    each.pause = /[,;:、，；：—–]/.test(gap);
    each.last = index === found.length - 1 || /[.!?…。！？\n]/.test(gap);
  });
  return found;
}

const FIGURE = /\p{N}/u;
const CHANGED = 1; // what a spoken word costs that is another one than the written, or is not written
const NOT_SPOKEN = 0.5;
const CHANGED_START = 0.5; // an abbreviation often begins like its word
const CHANGED_FIGURE = 0.5;
const MORE_OF_FIGURE = 0.2; // figures are read as many words

/**
 * Which words of a text a sentence says that is read as `spoken`: for each spoken word the index of a written one,
 * from `first` on, by the way from one to the other that costs least. `{places, next}`.
 */
export function align(spoken, written, first) {
  const ahead = written.slice(first, first + spoken.length + LOOK_AHEAD_WORDS);
  if (!spoken.length || !ahead.length) return { places: spoken.map(() => first), next: first };
  // costs[i][j] of the first i spoken words and the first j written ones; steps[i][j] is how they were got to.
  const costs = spoken.concat(0).map(() => Array(ahead.length + 1).fill(0));
  const steps = costs.map((row) => row.map(() => "both"));
  for (let i = 0; i <= spoken.length; i++) {
    for (let j = 0; j <= ahead.length; j++) {
      const ways = [];
      if (i && j) ways.push([costs[i - 1][j - 1] + change(spoken[i - 1].word, ahead[j - 1].word), "both"]);
      if (i) ways.push([costs[i - 1][j] + (j && FIGURE.test(ahead[j - 1].word) ? MORE_OF_FIGURE : CHANGED), "spoken"]);
      if (j) ways.push([costs[i][j - 1] + NOT_SPOKEN, "written"]);
      for (const [index, [cost, step]] of ways.entries()) {
        if (!index || cost < costs[i][j]) [costs[i][j], steps[i][j]] = [cost, step];
      }
    }
  }
  const whole = (j) => costs[spoken.length][j] - (ahead[j - 1].last ? AT_AN_END : 0);
  let end = 1;
  for (let j = 2; j <= ahead.length; j++) if (whole(j) < whole(end)) end = j;
  const places = Array(spoken.length);
  for (let i = spoken.length, j = end; i > 0; ) {
    const step = steps[i][j];
    if (step !== "written") places[i - 1] = first + Math.max(0, j - 1);
    if (step !== "written") i -= 1;
    if (step !== "spoken") j -= 1;
  }
  return { places, next: first + end };
}

function change(spoken, written) {
  const [a, b] = [spoken.toLowerCase(), written.toLowerCase()];
  if (a === b) return 0;
  if (FIGURE.test(b)) return CHANGED_FIGURE;
  return a[0] === b[0] ? CHANGED_START : CHANGED;
}

/** Where each spoken word of a sentence begins, in samples. */
export function startsOf(sentence, spoken, samplesPerLetter) {
  const weights = spoken.map(({ word, pause }) => word.length + 1 + (pause ? PAUSE_LETTERS : 0));
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const length = sentence.end === null ? all * samplesPerLetter : sentence.end - sentence.start;
  let before = 0;
  return weights.map((weight) => sentence.start + (length * (before += weight) - length * weight) / all);
}

/** The index of the written word at each told one, and when it begins, in samples: `[{place, start}]`. */
export function placesOf(told, written, text) {
  const unit = unitsOf(text);
  const found = told.map(({ place, stop, start }) => ({
    place: written.findIndex((word) => word.end > unit(place) && word.start < unit(stop)),
    start,
  }));
  return found.filter(({ place }) => place >= 0);
}

/** From characters, as the server counts them, to the units of a string. */
function unitsOf(text) {
  if (!/[\u{10000}-\u{10ffff}]/u.test(text)) return (place) => place;
  const ends = [0];
  for (const character of text) ends.push(ends.at(-1) + character.length);
  return (place) => ends[place] ?? text.length;
}

export class Reading {
  /** `onSeek(sample)` is called when a word is pressed. */
  constructor(onSeek) {
    Object.assign(this, { onSeek, lines: [], times: [], known: "", marked: null });
    byId("reading").addEventListener("click", ({ target }) => {
      const time = this.times.find(({ element }) => element === target);
      if (time) this.onSeek(Math.round(time.start));
    });
  }

  /** Show lines of text: `[{text, owner, name}]`. */
  show(lines) {
    Object.assign(this, { times: [], known: "", marked: null });
    this.lines = lines.map(({ text }) => ({ text, words: wordsOf(text), elements: [] }));
    byId("reading").hidden = !lines.length;
    byId("reading").replaceChildren(...lines.map((line, index) => this.paragraph(line, this.lines[index])));
    byId("reading").scrollTop = 0;
  }

  paragraph({ text, owner, name }, { words, elements }) {
    const parts = name ? [h("b", {}, `${name} `)] : [];
    let at = 0;
    for (const { start, end } of words) {
      elements.push(h("span", {}, text.slice(start, end)));
      parts.push(text.slice(at, start), elements.at(-1));
      at = end;
    }
    return h("p", { className: `own-${owner}` }, ...parts, text.slice(at));
  }

  /** Mark the word that is heard at this sample of a clip, or none. */
  update(clip, position) {
    const word = clip && position !== null ? this.wordAt(clip, position) : null;
    if (word === this.marked) return;
    this.marked?.classList.remove("now");
    word?.classList.add("now");
    this.marked = word;
    if (word) follow(byId("reading"), word);
  }

  wordAt(clip, position) {
    const known = clip.sentences.map(({ end, words }) => `${end} ${words?.length}`).join();
    if (known !== this.known) {
      this.known = known;
      this.times = this.timesOf(clip);
    }
    return this.times.findLast(({ start }) => start <= position)?.element ?? null;
  }

  /** When each written word begins: `[{element, start}]`, in order. */
  timesOf(clip) {
    const ended = clip.sentences.filter(({ end }) => end !== null);
    const letters = ended.reduce((sum, { text }) => sum + text.length, 0);
    const samples = ended.reduce((sum, { start, end }) => sum + end - start, 0);
    const perLetter = letters && samples ? samples / letters : clip.rate / LETTERS_PER_SECOND;
    const next = this.lines.map(() => 0);
    return clip.sentences.flatMap((sentence) => {
      const { text, words, elements } = this.lines[sentence.line] ?? { text: "", words: [], elements: [] };
      if (sentence.words?.length) {
        const told = placesOf(sentence.words, words, text);
        next[sentence.line] = Math.max(next[sentence.line], ...told.map(({ place }) => place + 1));
        return told.map(({ place, start }) => ({ element: elements[place], start }));
      }
      const spoken = wordsOf(sentence.text);
      const { places, next: after } = align(spoken, words, next[sentence.line]);
      next[sentence.line] = after;
      const starts = startsOf(sentence, spoken, perLetter);
      const firsts = places.map((place, index) => ({ element: elements[place], start: starts[index] }));
      return firsts.filter(({ element }, index) => element && places[index] !== places[index - 1]);
    });
  }
}

/** Keep an element in sight within its box, without moving the page. */
function follow(box, element) {
  const top = element.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top + element.offsetHeight > box.scrollTop + box.clientHeight) {
    box.scrollTop = top - element.offsetHeight;
  }
}
