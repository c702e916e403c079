/* Whether the server is there, and what its models can do. */

import { listModels, readiness } from "./api.js";
import { byId } from "./dom.js";

const FIRST_WAIT_MILLISECONDS = 500;
const LONGEST_WAIT_MILLISECONDS = 8000;

export class Server {
  /** `onReady(models)` is called whenever it has become ready: `[{id, languages, converts}]`. */
  constructor(onReady) {
    Object.assign(this, { onReady, meeting: null });
  }

  /** Wait until it is ready, then learn of its models. */
  meet() {
    this.meeting ??= this.wait().finally(() => (this.meeting = null));
    return this.meeting;
  }

  async wait() {
    for (let delay = FIRST_WAIT_MILLISECONDS; ; delay = Math.min(2 * delay, LONGEST_WAIT_MILLISECONDS)) {
      const answer = await readiness().catch(() => null);
      const models = answer?.ready && (await listModels().catch(() => null));
      if (models) {
        tell("ready", `Ready, ${models.map(({ id }) => id).join(", ")}`);
        return this.onReady(models);
      }
      if (answer) tell("waiting", answer.draining ? "The server is shutting down" : "The model is warming up");
      else tell("gone", "The server does not answer");
      await new Promise((resolve) => setTimeout(resolve, delay));
    }
  }
}

function tell(state, words) {
  byId("server").dataset.state = state;
  if (byId("server").textContent !== words) byId("server").textContent = words;
}
