/* Texts to try, each of another kind; those in a language that the model does not speak are not offered. */

import { byId, h } from "./dom.js";

const EXAMPLES = [
  { name: "A story", language: "en", text: "Once upon a time, in a house by the sea, there lived a clockmaker who had never been late. Every morning she wound forty clocks, and every evening she listened to them agree. Then, one night in October, a single clock began to whisper." },
  { name: "A dialogue", language: "en", speakers: { Ada: /\bwoman\b/, Ben: /\bman\b/ }, lines: [
    ["Ada", "Did you hear that? Somebody is at the door."],
    ["Ben", "At this hour? It is almost midnight."],
    ["Ada", "Then it must be important. Open it, please."],
    ["Ben", "Only if you stand right behind me."],
  ] },
  { name: "Numbers", language: "en", text: "The train leaves platform 9 at 10:45 on March 3rd, 2026. A ticket costs $12.50, and the journey of 184 km takes about 2 hours and 15 minutes." },
  { name: "A question", language: "en", text: "Would you rather read the book first, or see the film? I never know. What do you think?" },
  { name: "News", language: "en", text: "Good evening. After three days of rain the river has stopped rising, and the old bridge is open again. Tomorrow will be dry, with sunshine in the afternoon." },
  { name: "中文", language: "zh", text: "从前有一座山，山上有一座小小的图书馆。每天早上，馆长都会打开窗户，让阳光照在书页上。" },
  { name: "日本語", language: "ja", text: "昔々、海のそばの小さな家に、時計を作る人が住んでいました。毎朝、四十の時計のねじを巻きました。" },
  { name: "한국어", language: "ko", text: "옛날 옛적에 바닷가 작은 집에 시계를 만드는 사람이 살았습니다. 매일 아침 마흔 개의 시계태엽을 감았습니다." },
];

/** Offer those of these languages; `onChoose(example)` is called with the one that is taken. */
export function offerExamples(languages, onChoose) {
  const offered = EXAMPLES.filter(({ language }) => languages.includes(language));
  const buttons = offered.map((example) => h("button", { type: "button", className: "chip", lang: example.language, onclick: () => onChoose(example) }, example.name));
  byId("examples").replaceChildren(...buttons.map((button) => h("li", {}, button)));
  byId("examples-row").hidden = !offered.length;
}
