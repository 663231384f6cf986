/**
 * The tokens of a prompt while it is typed: how many, which, what room they leave, and how one of them is made.
 * Asks the server beside Dash, in the body of a POST; an answer to what is no longer there is dropped.
 */
(function () {
  "use strict";

  const TOKENS_PATH = "/tokens-of-text";
  const MERGES_PATH = "/merges-of-token";
  const PAUSE_MS = 40; // keys that follow each other faster make one question

  const ours = () => window.dash_clientside;
  const element = (name, slot) => document.getElementById(`${name}-${slot}`);
  const number = (n) => n.toLocaleString("en");
  const counted = (n, one) => `${number(n)} ${one}${n === 1 ? "" : "s"}`;

  /**
   * How many tokens a prompt has and what room it leaves.
   * @param {{n: number, n_ctx: number}} found @param {number} nNew - tokens that are to be drawn
   */
  function summary({ n, n_ctx: nCtx }, nNew) {
    const room = nCtx - n;
    if (room < 0) return `${counted(n, "token")}, ${number(-room)} more than the ${number(nCtx)} that the model reads at once.`;
    const left = room ? `room for ${number(room)} more` : "no room for another";
    const some = nNew > room && room > 0 ? ` of the ${number(nNew)} that are to be drawn` : "";
    return `${counted(n, "token")}, ${left}${some}.`;
  }

  /** What is odd about the end of a prompt, with the remedy; "" where nothing is. */
  function warning(text) {
    if (!text.endsWith(" ")) return "";
    return "The prompt ends with a space. In GPT-2's vocabulary the space belongs to the word after it, so few words can follow: remove it.";
  }

  /** What the tokens of a form depend on. */
  function question([text, bos, model]) {
    return { text: text || "", bos: Boolean(bos), model: model || "" };
  }

  /**
   * Questions that follow each other: whether an answer is to the last of them.
   * @returns {{ask: function(): number, isLast: function(number): boolean}}
   */
  function newTurn() {
    let last = 0;
    return { ask: () => (last += 1), isLast: (turn) => turn === last };
  }

  /**
   * How a token is made, in one sentence before its merges.
   * @param {{token: number, bytes: string, parts: string[], merges: object[]}} made @param {string} name - quoted
   */
  function making({ token, bytes, merges }, name) {
    const about = `${name}: id ${number(token)}, ${bytes.length > 2 ? "bytes" : "byte"} ${bytes}.`;
    if (merges.length) return `${about} ${counted(merges.length, "merge")} made it, each of the two neighbours that GPT-2's list names first:`;
    return `${about} ${name === "‘<|endoftext|>’" ? "It stands for itself." : "A single byte: nothing was merged."}`;
  }

  /** The merges of a token in one line, for where there is little room; "" where there are none. */
  function merged({ merges }, quoted) {
    if (!merges.length) return "";
    return `Merges: ${merges.map(([left, right]) => `${quoted(left)} + ${quoted(right)}`).join(", then ")}`;
  }

  // Below: the page ----------------------------------------------------------------------------------------------------

  const at = {}; // slot → its timer, turns, and what was answered last

  function slotAt(slot) {
    at[slot] ||= { timer: 0, turn: newTurn(), splitTurn: newTurn(), found: null, shown: [], nNew: 0 };
    return at[slot];
  }

  /** A form says something else. Called by Dash at each change. */
  function follow(text, bos, model, nNew, slot) {
    const here = slotAt(slot);
    here.nNew = nNew || 0;
    element("typed-warning", slot).textContent = warning(text || "");
    const turn = here.turn.ask();
    clearTimeout(here.timer);
    here.timer = setTimeout(() => ask(slot, turn, question([text, bos, model])), PAUSE_MS);
  }

  async function ask(slot, turn, asked) {
    const here = slotAt(slot);
    const found = await posted(TOKENS_PATH, asked);
    if (!found || !here.turn.isLast(turn)) return;
    element("typed-count", slot).textContent = found.fault || `${summary(found, here.nNew)} `;
    render(slot, found.fault ? { tokens: [], ids: [] } : found);
  }

  /** The answer; null where there is none, which is said in a toast. */
  async function posted(path, body) {
    const headers = { "Content-Type": "application/json" };
    try {
      const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
      return response.ok ? await response.json() : null;
    } catch {
      return null;
    }
  }

  const made = new Map(); // id → how it is made, or a promise of it

  /** How a token is made, asked for once; null where there is no answer. @param {number} token */
  function madeOf(token) {
    if (!made.has(token)) {
      made.set(token, posted(MERGES_PATH, { token }).then((answer) => {
        if (!answer) made.delete(token);
        return answer;
      }));
    }
    return made.get(token);
  }

  /** Make the list show these tokens; what is there already stays. */
  function render(slot, { tokens: texts, ids }) {
    const here = slotAt(slot);
    const list = element("typed-tokens", slot);
    listen(slot, list);
    const signed = ids.map((id, i) => `${id} ${texts[i]}`);
    const keep = ours().tokens.commonStart(here.shown, signed);
    if (keep < here.shown.length || keep < signed.length) element("typed-split", slot).replaceChildren();
    while (list.childNodes.length > keep) list.lastChild.remove();
    const fresh = ids.slice(keep).map((id, i) => option(texts[keep + i], id, keep + i));
    list.append(...fresh);
    here.shown = signed;
    reachable(list, Math.max(0, [...list.childNodes].findIndex((each) => each.tabIndex === 0)));
    if (ids.length) list.setAttribute("role", "listbox");
    else list.removeAttribute("role");
    list.setAttribute("aria-label", "Tokens of what is typed: Enter tells how one is made");
    if (!ids.length) list.removeAttribute("aria-label");
  }

  function option(text, id, pos) {
    const made = document.createElement("span");
    made.className = "typed-token";
    made.tabIndex = -1;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", "false");
    made.setAttribute("aria-label", `${ours().tokens.spoken(text, pos, false)}, id ${id}`);
    Object.assign(made.dataset, { pos: String(pos), token: String(id), text });
    const word = document.createElement("span");
    word.className = `typed-text${ours().tokens.isBytes(text) ? " bytes" : ""}`;
    ours().tokens.write(word, text);
    const small = document.createElement("small");
    small.textContent = String(id);
    made.append(word, small);
    return made;
  }

  /** One of the list is in the tab order. */
  function reachable(list, pos) {
    list.childNodes.forEach((each, i) => (each.tabIndex = i === pos ? 0 : -1));
  }

  function listen(slot, list) {
    if (list.isListening) return;
    list.isListening = true;
    list.addEventListener("click", (event) => choose(slot, list, event.target.closest("[data-pos]")));
    list.addEventListener("keydown", (event) => {
      const token = event.target.closest("[data-pos]");
      if (!token || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "Enter" || event.key === " ") choose(slot, list, token);
      else if (event.key === "Escape") choose(slot, list, null);
      else {
        const to = ours().tokens.moved(event.key, Number(token.dataset.pos), list.childNodes.length);
        if (to === null) return;
        reachable(list, to);
        list.childNodes[to].focus();
      }
      event.preventDefault();
    });
  }

  /** Tell how a token is made; of the one that is told, or null, no more. */
  async function choose(slot, list, token) {
    const here = slotAt(slot);
    const split = element("typed-split", slot);
    const isTold = token && token.getAttribute("aria-selected") === "true";
    for (const each of list.querySelectorAll("[aria-selected='true']")) each.setAttribute("aria-selected", "false");
    const turn = here.splitTurn.ask();
    if (!token || isTold) return split.replaceChildren();
    token.setAttribute("aria-selected", "true");
    reachable(list, Number(token.dataset.pos));
    token.focus({ preventScroll: true });
    const answer = await madeOf(Number(token.dataset.token));
    if (answer && here.splitTurn.isLast(turn) && token.isConnected) split.replaceChildren(...told(answer, token.dataset.text));
  }

  /** How a token is made, as elements. */
  function told(made, text) {
    const { quoted } = ours().tokens;
    const sentence = document.createElement("p");
    sentence.textContent = making(made, quoted(text));
    const steps = document.createElement("ol");
    for (const [left, right, joined, id] of made.merges) {
      const step = document.createElement("li");
      step.textContent = `${quoted(left)} + ${quoted(right)} → ${quoted(joined)}`;
      step.title = `merge ${number(id - 255)} of GPT-2's list makes token ${number(id)}`;
      steps.append(step);
    }
    return made.merges.length ? [sentence, steps] : [sentence];
  }

  const typed = { summary, warning, question, newTurn, making, merged, madeOf, told, follow };
  if (typeof module !== "undefined") module.exports = typed;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { typed });
})();
