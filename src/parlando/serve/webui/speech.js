/* Speaks a script line by line through the public routes, into a clip that grows. */

import { convert, speak } from "./api.js";
import { Clip } from "./clip.js";
import { LARGEST_SEED } from "./settings.js";

const PAUSE_SECONDS = 0.3;

/**
 * Speak `[{text, voice, owner, row}]` with the same other fields of a request for each, or convert a `recording` in
 * place of a text. Calls `onClip(clip)` once, at the first sound, and `onGrow()` whenever there is more; resolves to
 * `{clip, seed, firstSeconds, seconds}`.
 */
export async function perform(script, fields, { signal, onClip, onGrow }) {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const made = { clip: null, seed: fields.seed?.toString() ?? null, firstSeconds: null, seconds: 0 };
  for (const [index, line] of script.entries()) {
    let rate = 0;
    let start = null; // of this line, in samples
    const begin = () => {
      if (start !== null) return;
      if (!made.clip) {
        made.clip = new Clip(rate);
        made.firstSeconds = since();
        onClip(made.clip);
      } else made.clip.append(new Float32Array(Math.round(PAUSE_SECONDS * rate)));
      start = made.clip.length;
      made.clip.turns.push({ start, owner: line.owner, row: line.row });
    };
    for await (const part of ask(line, fields, made.seed, index, signal)) {
      if (part.rate) {
        rate = part.rate;
        made.seed ??= part.seed;
      } else if (part.began) {
        begin();
        const sentence = { line: index, text: part.began.text, start: start + Math.round(part.began.start_seconds * rate) };
        made.clip.sentences.push({ ...sentence, end: null, words: [] });
      } else if (part.ended) {
        Object.assign(made.clip.sentences.at(-1), { end: start + Math.round(part.ended.end_seconds * rate) });
      } else if (part.word) {
        const { start: place, stop, start_seconds } = part.word;
        made.clip.sentences.at(-1).words.push({ place, stop, start: start + Math.round(start_seconds * rate) });
      } else if (part.samples.length) {
        begin();
        made.clip.append(part.samples);
        onGrow();
      }
    }
  }
  made.seconds = since();
  return made;
}

/** The parts of one line's answer; its seed follows from the first line's. */
function ask({ text, recording, voice }, fields, firstSeed, index, signal) {
  if (recording) return convert(recording, { voice, speed: fields.speed, model: fields.model }, signal);
  const seed = firstSeed === null ? undefined : (BigInt(firstSeed) + BigInt(index)) % (LARGEST_SEED + 1n);
  return speak({ ...fields, seed, input: text, ...(voice && { voice }) }, signal);
}
