/* Speaks a script line by line through the public route, into a clip that grows. */

import { speak } from "./api.js";
import { Clip } from "./clip.js";
import { LARGEST_SEED } from "./settings.js";

const PAUSE_SECONDS = 0.3;

/**
 * Speak `[{text, voice, owner, row}]` with the same other fields of a request for each. Calls `onClip(clip)` once, at
 * the first sound, and `onGrow()` whenever there is more; resolves to `{clip, seed, firstSeconds, seconds}`.
 */
export async function perform(script, fields, { signal, onClip, onGrow }) {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const made = { clip: null, seed: fields.seed?.toString() ?? null, firstSeconds: null, seconds: 0 };
  for (const [index, { text, voice, owner }] of script.entries()) {
    const seed = made.seed === null ? undefined : (BigInt(made.seed) + BigInt(index)) % (LARGEST_SEED + 1n);
    let rate = 0;
    let heard = false;
    for await (const part of speak({ ...fields, seed, input: text, ...(voice && { voice }) }, signal)) {
      if (part.rate) {
        rate = part.rate;
        made.seed ??= part.seed;
        continue;
      }
      if (!part.samples.length) continue;
      if (!made.clip) {
        made.clip = new Clip(rate);
        made.firstSeconds = since();
        onClip(made.clip);
      }
      if (!heard) {
        if (index) made.clip.append(new Float32Array(Math.round(PAUSE_SECONDS * rate)));
        made.clip.turns.push({ start: made.clip.length, owner, row: script[index].row });
        heard = true;
      }
      made.clip.append(part.samples);
      onGrow();
    }
  }
  made.seconds = since();
  return made;
}
