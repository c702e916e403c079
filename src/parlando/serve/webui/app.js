/* The page: what is written, chosen and set becomes a request; what comes back is heard, drawn and kept. */

import { Failure } from "./api.js";
import { saveFile, toInt16 } from "./clip.js";
import { Compose } from "./compose.js";
import { Dialogue } from "./dialogue.js";
import { byId } from "./dom.js";
import { offerExamples } from "./examples.js";
import { explain, hide, show } from "./notice.js";
import { Past } from "./past.js";
import { Sampler } from "./sampler.js";
import { Server } from "./server.js";
import { apply, offerLanguages, offerModels, requestFields, setUpSettings, values } from "./settings.js";
import { asCurl, asPython } from "./snippets.js";
import { perform } from "./speech.js";
import { Stage, showFacts } from "./stage.js";
import { Voices } from "./voices.js";

const NOTHING = {
  text: "There is nothing to say yet. Write something first.",
  dialogue: "There is nothing to say yet. Write something first.",
  recording: "There is nothing to convert yet. Choose a file, or record something.",
};
const notice = byId("notice");
let models = [];
let running = null; // what stops the request that runs
let lastSeed = null;
let shown = { said: "" }; // what the sound in hand says

const sampler = new Sampler(() => stage.pause(), (error) => fail(error, null));
const stage = new Stage((row) => dialogue.mark(row), () => sampler.stop());
const dialogue = new Dialogue(() => compose.keep());
const voices = new Voices(sampler, () => {
  dialogue.offer(voices.all);
  compose.keep();
}, fail);
const compose = new Compose(voices, dialogue, (id, what) => complain(id, what));
const past = new Past((entry, clip) => open(entry, clip), (entry) => reuse(entry), (error) => fail(error, null));
const server = new Server((found) => learn(found));

/* Speaking. */

async function speak() {
  if (running) return;
  hide(notice);
  compose.keep();
  if (compose.mode === "recording") await compose.take.finish();
  const { lines, said } = compose.script();
  const { body, wrong, text } = requestFields();
  if (!lines.length) return complain(compose.mode === "dialogue" ? null : missing(), { text: NOTHING[compose.mode] });
  if (wrong) return complain(wrong, { text });
  byId("seed").removeAttribute("aria-invalid");
  const entry = { said, voices: titles(lines), draft: compose.draft, settings: values(), lines: worded(lines) };
  stage.unlock();
  stage.close();
  stage.reading.show(entry.lines);
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

/** The field that has nothing in it. */
function missing() {
  return compose.mode === "recording" ? compose.take.control : "text";
}

function titles(lines) {
  return [...new Set(lines.map(({ voice }) => voices.titleOf(voice)))];
}

/** Lines as they are shown while they are read, and kept. */
function worded(lines) {
  return lines.filter(({ text }) => text).map(({ text, owner, name }) => ({ text, owner, name }));
}

async function finish(entry, { clip, seed, firstSeconds, seconds }) {
  clip.complete = true;
  stage.grown();
  keepSeed(seed);
  const facts = [["first sound", `${firstSeconds.toFixed(2)} s`], ["speed", `${(clip.seconds / seconds).toFixed(1)}× real time`]];
  showFacts(seed === null ? facts : [...facts, ["seed", seed]]);
  announce(`Done: ${clip.seconds.toFixed(1)} seconds`);
  await past.add({ ...entry, seed }, clip);
}

function stop() {
  running?.abort();
  running = null;
  stage.pause();
  sampler.stop();
  showRunning();
}

function showRunning(words) {
  const button = byId("speak");
  button.textContent = running ? "Stop" : compose.verb;
  button.classList.toggle("busy", Boolean(running));
  if (words) announce(words);
}

function announce(words) {
  byId("progress").textContent = words;
}

function keepSeed(seed) {
  if (seed !== null) lastSeed = seed;
  byId("keep-seed").disabled = lastSeed === null;
}

/* What was made before. */

function open(entry, clip) {
  stop();
  shown = entry;
  stage.open(clip);
  stage.reading.show(entry.lines ?? [{ text: entry.said, owner: 1 }]);
  showFacts(entry.seed === null ? [] : [["seed", entry.seed]]);
  keepSeed(entry.seed);
}

function reuse(entry) {
  compose.fillIn(entry.draft);
  apply({ ...entry.settings, seed: entry.seed });
  compose.keep();
  byId("compose-title").scrollIntoView({ block: "center" });
  compose.focus();
}

/* Elsewhere. */

/** Put the page's request on the clipboard, as a command or a program. */
async function copy(button, write) {
  const { lines } = compose.script();
  const { body, wrong, text } = requestFields();
  if (wrong) return complain(wrong, { text });
  const asked = lines.length ? lines : [{ text: "Hello there.", voice: voices.chosen }];
  const named = asked.map(({ recording, ...line }) => (recording ? { ...line, recording: recording.name ?? "recording.wav" } : line));
  const base = new URL(".", location.href).href;
  await toClipboard(write({ base, lines: named, body, model: model().id, keyed: Boolean(byId("key").value.trim()) }));
  const label = button.textContent;
  button.textContent = "Copied";
  announce("Copied");
  setTimeout(() => (button.textContent = label), 1500);
}

async function toClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers have a clipboard on https and localhost only; elsewhere this still works.
  const area = document.body.appendChild(document.createElement("textarea"));
  area.value = text;
  area.select();
  document.execCommand("copy");
  area.remove();
}

/* What goes wrong. */

function complain(id, what) {
  show(notice, what);
  const field = id && byId(id);
  if (field?.closest("details")) field.closest("details").open = true;
  field?.setAttribute("aria-invalid", "true");
  if (field) field.focus();
  else dialogue.focus();
}

function fail(error, again = speak) {
  const said = explain(error);
  const actions = said.again && again ? [["Try again", again]] : [];
  if (said.key) actions.push(["Enter a key", () => complainKey()]);
  show(notice, said, actions);
  announce("");
  if (error.code === "voice_not_found") voices.refresh().catch(() => {});
  if (error.status === 0 || error.status === 503) server.meet();
}

function complainKey() {
  byId("settings").open = true;
  byId("key").focus();
}

/* What the server has. */

/** The model that is chosen, or the only one. */
function model() {
  return models.find(({ id }) => id === byId("model").value) ?? models[0] ?? { languages: [], converts: false };
}

async function learn(found) {
  models = found;
  offerModels(models.map(({ id }) => id));
  offerAbilities();
  try {
    await voices.refresh(voices.chosen, compose.draft.voice, model().default_voice);
  } catch (error) {
    fail(error);
  }
}

function offerAbilities() {
  const { languages, converts } = model();
  offerLanguages(languages);
  offerExamples(languages, (example) => tryExample(example));
  compose.allowRecordings(converts);
  compose.showMode();
}

/** Take an example; one in another language than the voice's is read in its own. */
function tryExample(example) {
  const own = voices.all.find(({ name }) => name === voices.chosen)?.language;
  apply({ ...values(), language: example.language === own ? "" : example.language });
  compose.try(example);
}

/* Setting up. */

function listen() {
  byId("speak").addEventListener("click", () => (running ? stop() : speak()));
  byId("download").addEventListener("click", () => {
    const { clip } = stage;
    saveFile(toInt16(clip.part(0, clip.length)), clip.rate, shown.said, byId("format").value).catch((error) => fail(error, null));
  });
  byId("keep-seed").addEventListener("click", () => {
    byId("seed").value = lastSeed;
    byId("seed").dispatchEvent(new Event("input", { bubbles: true }));
  });
  byId("copy-curl").addEventListener("click", ({ target }) => copy(target, asCurl));
  byId("copy-python").addEventListener("click", ({ target }) => copy(target, asPython));
  byId("model").addEventListener("change", offerAbilities);
  byId("key").addEventListener("change", () => voices.refresh().then(() => hide(notice), fail));
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
    } else if (event.key === "Escape" && (running || stage.player?.playing || sampler.heard)) stop();
  });
}

/** A field as high as its text, where the style sheet cannot say so. */
function fit(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

setUpSettings(() => stage.picture.recolour());
compose.fillIn(compose.draft);
listen();
server.meet();
