/* The page: what is written, chosen and set becomes a request; what comes back is heard, drawn and kept. */

import { Failure, readiness } from "./api.js";
import { download, fileName, toInt16, wavBlob } from "./clip.js";
import { Dialogue } from "./dialogue.js";
import { byId, check, checkedValue, recall, remember } from "./dom.js";
import { explain, hide, show } from "./notice.js";
import { Past } from "./past.js";
import { apply, offerModels, requestFields, setUpSettings, values } from "./settings.js";
import { perform } from "./speech.js";
import { Stage, showFacts } from "./stage.js";
import { Voices } from "./voices.js";

const notice = byId("notice");
const draft = recall("draft", {});
let running = null; // what stops the request that runs
let lastSeed = null;
let shown = { said: "" }; // what the sound in hand says

const stage = new Stage((row) => dialogue.mark(row));
const dialogue = new Dialogue(() => keepDraft());
const voices = new Voices(() => {
  dialogue.offer(voices.all.map(({ name }) => name));
  keepDraft();
}, fail);
const past = new Past(
  (entry, clip) => {
    stop();
    shown = entry;
    stage.open(clip);
    showFacts([["seed", entry.seed]]);
    keepSeed(entry.seed);
  },
  (entry) => reuse(entry),
);

/* What is written. */

function mode() {
  return checkedValue("mode");
}

function showMode() {
  const text = mode() === "text";
  byId("text-mode").hidden = byId("voice-panel").hidden = !text;
  byId("dialogue-mode").hidden = byId("speaker-panel").hidden = text;
}

function keepDraft() {
  remember("draft", { mode: mode(), text: byId("text").value, voice: voices.chosen, ...dialogue.state });
}

function fillIn({ mode = "text", text = "", voice, ...rest }) {
  check("mode", mode);
  byId("text").value = text;
  if (rest.lines) dialogue.load(rest);
  dialogue.offer(voices.all.map(({ name }) => name));
  if (voices.all.some(({ name }) => name === voice)) voices.choose(voice);
  showMode();
}

function reuse(entry) {
  fillIn(entry.draft);
  apply({ ...entry.settings, seed: entry.seed });
  keepDraft();
  byId("compose-title").scrollIntoView({ block: "center" });
  if (mode() === "text") byId("text").focus();
  else dialogue.focus();
}

/** What is to be said, for the server and for the history; or what is missing. */
function script() {
  if (mode() === "dialogue") {
    const lines = dialogue.script();
    const named = lines.map(({ text, row }) => `${dialogue.speakers[dialogue.lines[row].speaker].name}: ${text}`);
    return { lines, said: named.join(" "), voices: [...new Set(lines.map(({ voice }) => voice))] };
  }
  const text = byId("text").value.trim();
  return { lines: text ? [{ text, voice: voices.chosen, owner: 1, row: null }] : [], said: text, voices: [voices.chosen] };
}

/* Speaking. */

async function speak() {
  if (running) return;
  hide(notice);
  keepDraft();
  const { lines, said, voices: used } = script();
  const { body, wrong, text } = requestFields();
  if (!lines.length) return complain(mode() === "text" ? "text" : null, "There is nothing to say yet. Write something first.");
  if (wrong) return complain(wrong, text);
  byId(wrong ?? "seed").removeAttribute("aria-invalid");
  const entry = { said, voices: used, draft: recall("draft", {}), settings: values() };
  stage.unlock();
  stage.close();
  shown = entry;
  past.mark(null);
  const own = (running = new AbortController());
  showRunning("Asking the server");
  let clip = null;
  try {
    const made = await perform(lines, body, {
      signal: own.signal,
      onClip: (first) => {
        clip = first;
        stage.open(clip);
        announce("Playing while it is made");
      },
      onGrow: () => stage.grown(),
    });
    if (!made.clip) throw new Failure("the server sent no sound; try other words");
    await finish(entry, made);
  } catch (error) {
    if (error.name === "AbortError") announce("Stopped");
    else fail(error);
  } finally {
    if (clip && !clip.complete) {
      // What came before the end can be heard, but is not kept.
      clip.complete = true;
      if (stage.clip === clip) stage.grown();
    }
    if (running === own) running = null;
    showRunning();
  }
}

async function finish(entry, { clip, seed, firstSeconds, seconds }) {
  clip.complete = true;
  stage.grown();
  keepSeed(seed);
  showFacts([["first sound", `${firstSeconds.toFixed(2)} s`], ["speed", `${(clip.seconds / seconds).toFixed(1)}× real time`], ["seed", seed]]);
  const label = `Waveform and spectrogram of ${clip.seconds.toFixed(1)} seconds`;
  byId("picture").setAttribute("aria-label", label);
  announce(`Done: ${clip.seconds.toFixed(1)} seconds`);
  await past.add({ ...entry, seed }, clip);
}

function stop() {
  running?.abort();
  running = null;
  stage.pause();
  showRunning();
}

function showRunning(words) {
  const button = byId("speak");
  button.textContent = running ? "Stop" : "Speak";
  button.classList.toggle("busy", Boolean(running));
  if (words) announce(words);
}

function announce(words) {
  byId("progress").textContent = words;
}

function keepSeed(seed) {
  lastSeed = seed;
  byId("keep-seed").disabled = seed === null;
}

/* What goes wrong. */

function complain(id, text) {
  show(notice, { text });
  const field = id && byId(id);
  if (field?.closest("details")) field.closest("details").open = true;
  field?.setAttribute("aria-invalid", "true");
  if (field) field.focus();
  else dialogue.focus();
}

function fail(error) {
  const said = explain(error);
  const actions = said.again ? [["Try again", speak]] : [];
  if (said.key) actions.push(["Enter a key", () => complainKey()]);
  show(notice, said, actions);
  announce("");
  if (error.code === "voice_not_found") voices.refresh().catch(() => {});
  if (error.status === 0 || error.status === 503) meet();
}

function complainKey() {
  byId("settings").open = true;
  byId("key").focus();
}

/* The server. */

let meeting = null;

/** Wait until the server is ready, then learn its voices. */
function meet() {
  meeting ??= wait().finally(() => (meeting = null));
  return meeting;
}

async function wait() {
  for (let delay = 500; ; delay = Math.min(2 * delay, 8000)) {
    const answer = await readiness().catch(() => null);
    if (answer?.ready) return learn(Object.keys(answer.models));
    if (answer) tell("waiting", answer.draining ? "The server is shutting down" : "The model is warming up");
    else tell("gone", "The server does not answer");
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

async function learn(models) {
  tell("ready", `Ready, ${models.join(", ")}`);
  offerModels(models);
  try {
    await voices.refresh(voices.chosen || draft.voice);
  } catch (error) {
    fail(error);
  }
}

function tell(state, words) {
  byId("server").dataset.state = state;
  if (byId("server").textContent !== words) byId("server").textContent = words;
}

/* Setting up. */

function listen() {
  byId("speak").addEventListener("click", () => (running ? stop() : speak()));
  byId("download").addEventListener("click", () => {
    const { clip } = stage;
    download(wavBlob(toInt16(clip.part(0, clip.length)), clip.rate), fileName(shown.said));
  });
  byId("keep-seed").addEventListener("click", () => {
    byId("seed").value = lastSeed;
    byId("seed").dispatchEvent(new Event("input", { bubbles: true }));
  });
  byId("text").addEventListener("input", keepDraft);
  byId("key").addEventListener("change", () => voices.refresh().then(() => hide(notice), fail));
  for (const input of document.querySelectorAll('input[name="mode"]')) {
    input.addEventListener("change", () => {
      showMode();
      keepDraft();
    });
  }
  document.addEventListener("input", ({ target }) => {
    target.removeAttribute("aria-invalid");
    if (target.matches("textarea")) fit(target);
  });
  // A page that the browser keeps for going back would keep its request, too.
  addEventListener("pagehide", stop);
  document.addEventListener("keydown", (event) => {
    if (byId("voice-dialog").open) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      speak();
    } else if (event.key === "Escape" && (running || stage.player?.playing)) stop();
  });
}

/** A field as high as its text, where the style sheet cannot say so. */
function fit(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

setUpSettings(() => stage.picture.recolour());
fillIn(draft);
listen();
meet();
