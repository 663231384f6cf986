/**
 * The one selection that all pages share: how it changes, what of it a model has, and how it is said.
 * Pure functions; knows nothing of the page.
 *
 * slot: in which prompt pos and key are. pos: a token, the query. key: a second token. layer, head, neuron: parts of
 * the model. target, against: tokens of the vocabulary. All but slot are null where nothing is chosen.
 */
(function () {
  "use strict";

  const NOTHING = { slot: "a", pos: null, key: null, layer: null, head: null, neuron: null, target: null, against: null };
  const MOST_STEPS = 100; // that can be undone

  /** The selection with some of it chosen anew. Another token drops the second one; another layer keeps the head. */
  function changed(selection, fields) {
    const next = { ...NOTHING, ...selection, ...fields };
    if ("pos" in fields && !("key" in fields) && fields.pos !== (selection || NOTHING).pos) next.key = null;
    if (next.layer === null) next.head = next.neuron = null;
    return next;
  }

  function isSame(one, other) {
    return Object.keys(NOTHING).every((field) => (one || NOTHING)[field] === (other || NOTHING)[field]);
  }

  function isEmpty(selection) {
    return !selection || Object.keys(NOTHING).every((field) => field === "slot" || selection[field] === null);
  }

  /** The past with a selection added, the oldest dropped; unchanged where nothing has changed. */
  function remembered(past, before, next) {
    return isSame(before, next) ? past : [...past, before || NOTHING].slice(-MOST_STEPS);
  }

  /**
   * What of a selection a model has: a link may come from a larger one.
   * @param {object} selection @param {{n_layer: number, n_head: number, d_mlp: number}} shape
   */
  function inModel(selection, shape) {
    const has = (value, n) => (Number.isInteger(value) && value < n ? value : null);
    const layer = has(selection.layer, shape.n_layer);
    const of = (value, n) => (layer === null ? null : has(value, n));
    return { ...selection, layer, head: of(selection.head, shape.n_head), neuron: of(selection.neuron, shape.d_mlp) };
  }

  /** The chosen token of a slot; null where none of this prompt is chosen. */
  function posIn(selection, slot) {
    return selection && selection.slot === slot && Number.isInteger(selection.pos) ? selection.pos : null;
  }

  /** The parts of a model that are selected, in words. */
  function partsSentence({ layer, head, neuron }) {
    const named = [
      ["layer", layer],
      ["head", head],
      ["neuron", neuron],
    ].filter(([, value]) => Number.isInteger(value));
    return named.map(([name, value]) => `${name} ${value}`).join(", ");
  }

  /**
   * The selection in one sentence or two.
   * @param {object} selection
   * @param {{token: string, second: string, part: string, isChosen: boolean}} shown - the token shown and the second
   *   one in words, where the token stands ("of the prompt" or "generated")
   */
  function sentence(selection, shown) {
    const parts = partsSentence(selection);
    const pair = shown.second ? ` and ${shown.second}` : "";
    if (shown.isChosen) return `Selected: ${shown.token}, ${shown.part}${pair}${parts && ` · ${parts}`}.`;
    const first = parts && `Selected: ${parts}. `;
    return `${first}Click a token to see what the model expects after it. Shown now: the end of the prompt, ${shown.token}.`;
  }

  const selection = { NOTHING, changed, isSame, isEmpty, remembered, inModel, posIn, partsSentence, sentence };
  if (typeof module !== "undefined") module.exports = selection;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { selection });
})();
