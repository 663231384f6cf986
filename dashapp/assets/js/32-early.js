/**
 * The first token of a text, beside Dash (`shell/early_tokens.py`). Knows nothing of the page: what is told is handed on.
 */
(function () {
  "use strict";

  const PATH = "/early-tokens";
  const EVERY_MS = 40;
  const MOST = 50; // questions; a prompt that takes longer to read is told of by Dash in time

  /** Whether a state that was told has drawn a token. */
  const hasBegun = (told) => Boolean(told) && (told.tokens || []).length > told.n_prompt;

  /**
   * Ask for the state of a job until it has drawn a token.
   * @param {string} id - of its request
   * @param {(told: object) => boolean} hand - takes a state; returns whether there is more to wait for
   * @param {(id: string) => Promise<object|null>} ask - of the server
   * @param {(ms: number) => Promise<void>} wait
   */
  async function watch(id, hand, ask = asked, wait = passed) {
    for (let n = 0; n < MOST; n += 1) {
      const told = await ask(id);
      if (told && told.tokens && (!hand(told) || hasBegun(told))) return;
      await wait(EVERY_MS);
    }
  }

  async function asked(id) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(PATH, { method: "POST", headers, body: JSON.stringify({ id }) }).catch(() => null);
    return response && response.ok ? response.json() : null; // Dash asks too, and says what is wrong
  }

  const passed = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

  const early = { watch, hasBegun, EVERY_MS, MOST };
  if (typeof module !== "undefined") module.exports = early;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { early });
})();
