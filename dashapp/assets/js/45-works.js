/**
 * What a panel awaits below its figure: asks for it, tells how it fares, cancels it, tries it again.
 * The figure says by `layout.meta.awaits` which work would complete it, and by `starts` that a person begins it. Knows states of works; knows nothing of processes.
 */
(function () {
  "use strict";

  let pageId = "";
  const ANSWER_MS = 5000; // in which a Cancel is answered
  const LOST_MS = 15000; // in which any question is answered, or else asked again
  const cancelled = new Map(); // panel and slot → the work that a person gave up there, and when
  const asked = new Map(); // panel and slot → the work that was asked for there last, and when

  /** Tells this page, as long as it is open, from every other. */
  function page() {
    pageId ||= [...crypto.getRandomValues(new Uint8Array(8))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    return pageId;
  }

  /** The key of the work that a figure awaits, or null. */
  function awaited(figure) {
    return ((figure && figure.layout && figure.layout.meta) || {}).awaits || null;
  }

  /** Whether the work that a figure awaits has not been begun by a person who should. */
  function isOffered(figure, state) {
    const key = awaited(figure);
    return Boolean(key && figure.layout.meta.starts && !(state && state.key === key));
  }

  /** Whether a state is an end that only a person changes. */
  function isEnd(state) {
    return state.phase === "failed" || state.phase === "cancelled";
  }

  /**
   * What to do next about a figure: "ask", "cancel", "retry", or null for nothing.
   * @param {object} figure @param {object|null} state - the latest of any work @param {string} trigger - a kind of part
   */
  function next(figure, state, trigger) {
    const key = awaited(figure);
    if (!key) return null;
    if (trigger === "work-cancel") return "cancel";
    if (trigger === "work-retry") return "retry";
    if (isOffered(figure, state)) return trigger === "work-start" ? "ask" : null;
    return state && state.key === key && isEnd(state) ? null : "ask";
  }

  /** One sentence on how a work fares. */
  function sentence(state) {
    const { phase, title } = state;
    if (phase === "queued") return `${title} waits for its turn: number ${state.place} in the queue`;
    if (phase === "failed") return `${title} failed. ${state.rule} ${state.instance} ${state.remedy}`;
    if (phase === "cancelled") return `${title} was cancelled.`;
    if (state.doing !== "computing") return `Starting ${title}`;
    return `Computing ${title}`;
  }

  /**
   * What stands below a figure.
   * @param {object} figure @param {object|null} state
   */
  function look(figure, state) {
    const key = awaited(figure);
    const known = state && state.key === key ? state : null;
    const isOver = Boolean(known) && isEnd(known);
    const canStart = isOffered(figure, state);
    const isShown = Boolean(key) && !(known && known.phase === "done");
    return {
      isShown,
      says: isShown && !canStart ? (known ? sentence(known) : "Looking it up") : "",
      share: known && known.phase === "running" ? known.share : 0,
      isBusy: isShown && !isOver && !canStart,
      canStart,
      canRetry: isShown && isOver,
      hasFailed: isShown && isOver && known.phase === "failed",
    };
  }

  const placeOf = ({ panel, slot }) => `${panel}-${slot}`;

  /** Whether a person has just given up what a figure awaits, and the answer to that may still be on its way. */
  function isGivenUp(figure, id) {
    const { key, at } = cancelled.get(placeOf(id)) || {};
    return key === awaited(figure) && performance.now() - at < ANSWER_MS;
  }

  /**
   * Whether the last question about what a figure awaits has no answer yet. Another one would make Dash throw that answer
   * away, and where answers take longer than a pulse none would ever count.
   */
  function isUnanswered(figure, state, id) {
    const { key, at } = asked.get(placeOf(id)) || {};
    return key === awaited(figure) && !(state && state.at === at) && performance.now() - at < LOST_MS;
  }

  function ask(figure, pulse, nStart, nCancel, nRetry, state, id) {
    const { no_update: same, callback_context: context } = window.dash_clientside;
    const { prop_id: told } = context.triggered[0] || { prop_id: "" };
    const trigger = ["work-start", "work-cancel", "work-retry"].find((part) => told.includes(`"${part}"`)) || "";
    const what = next(figure, state, trigger);
    if (what === "ask" && !trigger && (isGivenUp(figure, id) || isUnanswered(figure, state, id))) return same; // to ask is to want it again
    if (what === "cancel") cancelled.set(placeOf(id), { key: awaited(figure), at: performance.now() });
    else if (what && trigger) cancelled.delete(placeOf(id));
    if (!what) return same;
    const at = performance.now();
    asked.set(placeOf(id), { key: awaited(figure), at });
    const part = state && state.key === awaited(figure) ? state.part : 0; // what of the result came with that state
    return { do: what, awaits: awaited(figure), asker: `${page()}-${placeOf(id)}`, at, part };
  }

  function draw(figure, state) {
    const { isShown, says, share, isBusy, canStart, canRetry, hasFailed } = look(figure, state);
    const className = hasFailed ? "panel-work has-failed" : "panel-work";
    return [!isShown, className, says, String(share), !isBusy, !canStart, !isBusy, !canRetry, !isBusy];
  }

  const works = { awaited, next, sentence, look, ask, draw };
  if (typeof module !== "undefined") module.exports = works;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { works });
})();
