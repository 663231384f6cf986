/**
 * A panel's view (what the server is asked to draw), and what the browser itself draws over its figure.
 * Knows panels and figures; knows nothing of jobs.
 */
(function () {
  "use strict";

  const NARROW = 600; // pixels; the stylesheet has the same

  const WAITING = {
    nothing: "Nothing yet. Type a prompt and press Generate.",
    asking: "Looking it up",
    queued: "Waiting for a place",
    running: "Being computed. It appears here when the text is complete.",
    failed: "Nothing to show, for the run did not finish. What happened is said under the prompt.",
  };

  /**
   * The view of a panel: the trace's key, the theme, the knobs, and of the selection what the panel reads.
   * @param {object|null} run @param {object} chosen - theme; narrow: a telephone's width; knobs: name → value; selection: field → value or null
   * @param {string[]} reads
   */
  function viewOf(run, chosen, reads) {
    if (!run || run.phase !== "done" || !chosen.theme) return null;
    const fields = {};
    for (const field of reads) fields[field] = chosen.selection[field];
    return { key: run.trace, theme: chosen.theme, narrow: Boolean(chosen.narrow), knobs: chosen.knobs, ...fields };
  }

  /** What stands in a panel instead of its figure. */
  function waiting(run) {
    return WAITING[run ? run.phase : "nothing"] || "";
  }

  /** Whether two views ask for the same figure. */
  function isSame(one, other) {
    return JSON.stringify(one) === JSON.stringify(other);
  }

  /**
   * The outline of a position on a token axis: the one amber.
   * @param {number|null} pos @param {string} colour
   */
  function outline(pos, colour) {
    if (pos === null) return [];
    const line = { color: colour, width: 2 };
    return [{ type: "rect", xref: "x", yref: "paper", x0: pos - 0.5, x1: pos + 0.5, y0: 0, y1: 1, line, layer: "above" }];
  }

  function view(run, selection, theme, knobValues, knobIds, reads, before) {
    const { no_update: same, runs } = window.dash_clientside;
    const knobs = Object.fromEntries((knobIds || []).map((id, i) => [id.name, knobValues[i]]));
    const pos = runs.position(run, selection);
    const next = viewOf(run, { theme, narrow: window.innerWidth <= NARROW, knobs, selection: { pos } }, reads || []);
    const isReady = next !== null;
    return [
      !isReady || isSame(next, before) ? same : next,
      waiting(run),
      isReady ? "panel-body" : "panel-body is-waiting",
    ];
  }

  /** After a figure was drawn: keep its outline, and let a click on it select. */
  function drawn() {
    requestAnimationFrame(() => attach(20));
    return window.dash_clientside.no_update;
  }

  function attach(triesLeft) {
    const graphs = [...document.querySelectorAll(".marks-pos .js-plotly-plot")];
    for (const graph of graphs.filter((each) => each.on && !each.isListening)) {
      graph.isListening = true;
      graph.on("plotly_click", (event) => window.dash_clientside.shell.choose(event.points[0].x));
      graph.on("plotly_afterplot", () => mark(graph));
    }
    graphs.forEach(mark);
    if (!graphs.length && triesLeft) setTimeout(() => attach(triesLeft - 1), 50);
  }

  let marked = null;

  /** Outline a position in every figure with a token axis. */
  function highlight(pos) {
    marked = pos;
    document.querySelectorAll(".marks-pos .js-plotly-plot").forEach(mark);
  }

  function mark(graph) {
    if (!window.Plotly || !graph.calcdata || !graph.data.length) return; // nothing is drawn yet
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--selection").trim();
    const shapes = outline(marked, colour);
    if (!isSame(graph.layout.shapes || [], shapes)) window.Plotly.relayout(graph, { shapes });
  }

  const panels = { viewOf, waiting, isSame, outline, view, drawn, highlight };
  if (typeof module !== "undefined") module.exports = panels;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { panels });
})();
