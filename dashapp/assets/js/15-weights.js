/**
 * The selected token's attention on a strip: which weights are wanted, which are known, how they are drawn and said.
 * Knows tokens, weights and the server's answers; knows nothing of runs or of Dash.
 *
 * A view is {key, pos, layer, head, direction}: the trace, the token, its head or null for the mean over all heads.
 * An answer is a view with its weights, base64 of a float32 for each token, or with a fault in words.
 */
(function () {
  "use strict";

  const PATIENCE = 5000; // ms after which an answer is given up
  const KEPT = 300; // views whose weights are kept; 4 KB each at 1,024 tokens
  const DIRECTIONS = ["looks_at", "looked_at_by"];

  const nameOf = ({ key, pos, layer, head, direction }) => [key, pos, layer, head, direction].join(" ");

  /** Where a strip's weights are asked for: one question on its way, and of those that came meanwhile the newest. */
  function newDesk() {
    return { wanted: null, sent: null, since: 0, known: new Map() };
  }

  /**
   * A view is to be shown, or with null none. The view to ask the server for now; null where it is known, or where an
   * earlier question is on its way: then `arrived` says when.
   * @param {object} desk @param {object|null} view @param {number} now - ms
   */
  function want(desk, view, now) {
    desk.wanted = view;
    if (!view || found(desk) || (desk.sent && now - desk.since < PATIENCE)) return null;
    desk.sent = view;
    desk.since = now;
    return view;
  }

  /** Keep an answer. The view to ask the server for next; null where the present one was answered or is known. */
  function arrived(desk, answer, now) {
    const { weights: coded, fault = "", ...view } = answer;
    desk.known.delete(nameOf(view));
    desk.known.set(nameOf(view), { view, weights: coded ? decoded(coded) : null, fault });
    if (desk.known.size > KEPT) desk.known.delete(desk.known.keys().next().value);
    if (desk.sent && nameOf(desk.sent) === nameOf(answer)) desk.sent = null;
    return want(desk, desk.wanted, now);
  }

  /** No answer came. The view to ask the server for next, if another is wanted by now: the same would fail again. */
  function failed(desk, view, now) {
    if (desk.sent && nameOf(desk.sent) === nameOf(view)) desk.sent = null;
    return desk.wanted && nameOf(desk.wanted) !== nameOf(view) ? want(desk, desk.wanted, now) : null;
  }

  /** What is known of the wanted view: {view, weights, fault}, or null. */
  function found(desk) {
    return (desk.wanted && desk.known.get(nameOf(desk.wanted))) || null;
  }

  /** Forget faults, so that they are asked about again: a trace that was gone may have been computed since. */
  function forgetFaults(desk) {
    for (const [name, { fault }] of desk.known) if (fault) desk.known.delete(name);
  }

  function decoded(text) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  }

  /**
   * How high the bar of a weight is and how deep its tint, 0..1: its square root, for most weights are far below the
   * largest, which often is the first token's. The scale is the same for all tokens, heads and prompts.
   */
  function share(weight) {
    return Math.sqrt(Math.min(1, Math.max(0, weight)));
  }

  /** Three significant digits: "0.62", "0.000431", "2.1e−7". */
  function number(weight) {
    if (weight === 0 || weight >= 1e-4) return String(Number(weight.toPrecision(3)));
    return weight.toExponential(1).replace("-", "−");
  }

  /** Whether a weight can be other than zero: nothing looks at what comes after it. */
  function isPossible({ pos, direction }, other) {
    return direction === "looks_at" ? other <= pos : other >= pos;
  }

  /** One weight in words. @param {object} view @param {string[]} texts - tokens between quotes */
  function sentence(view, weight, other, texts) {
    const [from, to] = view.direction === "looks_at" ? [view.pos, other] : [other, view.pos];
    const where = view.head === null ? "Mean over all heads" : `Layer ${view.layer}, head ${view.head}`;
    return `${where}: ${texts[from]} looks at ${from === to ? "itself" : texts[to]}, ${number(weight)}`;
  }

  /** What the bars show, on which scale, and the largest. @param {string[]} texts - tokens between quotes */
  function legend(view, weights, texts) {
    const token = `token ${view.pos} ${texts[view.pos]}`;
    const where = view.head === null ? "mean over all heads" : `layer ${view.layer}, head ${view.head}`;
    const most = weights.reduce((best, weight, i) => (weight > weights[best] ? i : best), 0);
    const what = view.direction === "looks_at" ? `what ${token} looks at` : `what looks at ${token}`;
    return `Bars: ${what}, ${where}. Square-root scale, full at 1. Largest: ${number(weights[most])}, token ${most} ${texts[most]}.`;
  }

  /**
   * Draw weights on a strip's tokens; null takes them away.
   * @param {Element} strip @param {{view: object, weights: Float32Array}|null} shown @param {string[]} texts
   */
  function paint(strip, shown, texts) {
    const isShown = Boolean(shown) && shown.weights.length === strip.childNodes.length;
    strip.toggleAttribute("data-weighed", isShown);
    strip.childNodes.forEach((token, pos) => {
      if (isShown && isPossible(shown.view, pos)) {
        token.style.setProperty("--weight", share(shown.weights[pos]).toFixed(3));
        token.dataset.attention = sentence(shown.view, shown.weights[pos], pos, texts);
      } else {
        token.style.removeProperty("--weight");
        delete token.dataset.attention;
      }
    });
  }

  const weights = {
    newDesk, want, arrived, failed, found, forgetFaults, share, number, sentence, legend, paint, DIRECTIONS, PATIENCE, KEPT,
  };
  if (typeof module !== "undefined") module.exports = weights;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { weights });
})();
