/* What is on the page as a command or a program, to be pasted elsewhere. Keys are never in it, only where they belong. */

const KEY = "PARLANDO_API_KEY";

/** A curl command for each line: `asked` is `{base, lines: [{text, voice} or {recording, voice}], body, model, keyed}`. */
export function asCurl(asked) {
  return asked.lines.map((line, index) => curlLine(asked, line, index)).join("\n\n");
}

function curlLine(asked, line, index) {
  const { base, keyed, lines } = asked;
  const name = fileOf(lines, index);
  const key = keyed ? [`  -H "Authorization: Bearer $${KEY}"`] : [];
  if (line.recording) {
    const fields = conversionFields(asked, line).map(([field, value]) => `  --form-string ${quoted(`${field}=${value}`)}`);
    return [`curl --fail ${quoted(`${base}v1/audio/conversions`)}`, ...key, `  -F ${quoted(`file=@"${line.recording.replace(/["\\]/g, "\\$&")}"`)}`, ...fields, `  -o ${name}`].join(" \\\n");
  }
  const body = speechJson(asked, line, index);
  return [`curl --fail ${quoted(`${base}v1/audio/speech`)}`, ...key, "  -H 'Content-Type: application/json'", `  -d ${quoted(body)}`, `  -o ${name}`].join(" \\\n");
}

/** A program of Python with OpenAI's client; converting needs httpx alone, which comes with it. */
export function asPython(asked) {
  const { base, lines, keyed } = asked;
  const key = keyed ? `os.environ["${KEY}"]` : '"none"';
  const imports = keyed ? "import os\n\n" : "";
  if (lines[0].recording) return pythonConversion(asked, lines[0], imports);
  const head = `${imports}from openai import OpenAI\n\nclient = OpenAI(base_url=${literal(`${base}v1`)}, api_key=${key})\n`;
  if (lines.length === 1) return `${head}${pythonCall(asked, literal(lines[0].voice), literal(lines[0].text), literal(fileOf(lines, 0)), "")}`;
  const spoken = lines.map(({ voice, text }) => `    (${literal(voice)}, ${literal(text)}),\n`).join("");
  return `${head}lines = [\n${spoken}]\nfor number, (voice, words) in enumerate(lines):\n${pythonCall(asked, "voice", "words", 'f"line-{number + 1}.mp3"', "    ", " + number")}`;
}

function pythonCall({ body, model }, voice, words, file, indent, seedStep = "") {
  const { speed, seed, model: chosen, ...own } = body;
  const extra = Object.entries(own).map(([name, value]) => `${literal(name)}: ${literal(value)}`);
  if (seed !== undefined) extra.unshift(`"seed": ${seed}${seedStep}`);
  const options = [`model=${literal(chosen ?? model)}`, `voice=${voice}`, `input=${words}`, 'response_format="mp3"'];
  if (speed !== undefined) options.push(`speed=${speed}`);
  if (extra.length) options.push(`extra_body={${extra.join(", ")}}`);
  const list = options.map((option) => `${indent}    ${option},\n`).join("");
  return `${indent}with client.audio.speech.with_streaming_response.create(\n${list}${indent}) as answer:\n${indent}    answer.stream_to_file(${file})\n`;
}

function pythonConversion(asked, line, imports) {
  const fields = conversionFields(asked, line).map(([field, value]) => `${literal(field)}: ${literal(value)}`).join(", ");
  const headers = asked.keyed ? `, headers={"Authorization": "Bearer " + os.environ["${KEY}"]}` : "";
  return `${imports}import httpx

with open(${literal(line.recording)}, "rb") as file:
    answer = httpx.post(
        ${literal(`${asked.base}v1/audio/conversions`)},
        data={${fields}},
        files={"file": file},
        timeout=None${headers},
    )
answer.raise_for_status()
with open("speech.mp3", "wb") as file:
    file.write(answer.content)
`;
}

function conversionFields({ body }, { voice }) {
  const { speed, model } = body;
  const fields = { voice, speed, model, response_format: "mp3" };
  return Object.entries(fields).filter(([, value]) => value !== undefined && value !== "").map(([name, value]) => [name, `${value}`]);
}

/** The JSON of a request; a seed of 63 bits is written out whole. */
function speechJson({ body, lines }, { text, voice }, index) {
  const { seed, ...rest } = body;
  const json = JSON.stringify({ input: text, ...(voice && { voice }), ...rest, response_format: "mp3" });
  return seed === undefined ? json : `${json.slice(0, -1)},"seed":${seed + (lines.length > 1 ? BigInt(index) : 0n)}}`;
}

function fileOf(lines, index) {
  return lines.length > 1 ? `line-${index + 1}.mp3` : "speech.mp3";
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function literal(value) {
  return JSON.stringify(value);
}
