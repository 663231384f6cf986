/**
 * A panel's view (what the server is asked to draw), and what the browser itself draws over its figure.
 * Knows panels and figures; knows nothing of jobs.
 */
(function () {
  "use strict";

  const NARROW = 600; // pixels; the stylesheet has the same
  const NOTHING = { pos: null, layer: null, head: null };

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

  /**
   * What each kind of figure outlines of the selection, and what a click on one of its points, or a key, selects.
   * pos: tokens along x. pattern: tokens along x and y. head: heads along x, layers along y. bar: a token a bar.
   */
  const KINDS = {
    pos: {
      outlines: ({ pos }, colour) => outline(pos, colour),
      picks: (point) => ({ pos: point.x }),
    },
    pattern: {
      outlines: ({ pos }, colour, graph) => cross(pos, colour, graph.data[0].x.length),
      picks: (point) => ({ pos: point.pointNumber[0] }),
    },
    head: {
      outlines: ({ layer, head }, colour) =>
        Number.isInteger(layer) ? outline(head, colour).map((shape) => ({ ...shape, yref: "y", y0: layer - 0.5, y1: layer + 0.5 })) : [],
      picks: (point) => ({ layer: point.y, head: point.x }),
      moves: nextHead,
      says: "Heads: arrow keys select one, Escape none",
    },
    bar: {
      outlines: () => [],
      picks: (point) => (Number.isInteger(point.customdata) ? { pos: point.customdata } : null),
    },
  };

  /** A token's row and column of a pattern of n tokens, without the future, where there is nothing. */
  function cross(pos, colour, n) {
    if (pos === null || pos >= n) return [];
    const [band] = outline(pos, colour);
    const row = { ...band, yref: "y", x0: -0.5, x1: pos + 0.5, y0: pos - 0.5, y1: pos + 0.5 };
    return [row, { ...band, yref: "y", y0: pos - 0.5, y1: n - 0.5 }];
  }

  /**
   * The head that a key leads to from the selected one, the first when none is; null for a key that leads nowhere.
   * @param {string} key @param {{layer: number|null, head: number|null}} from
   * @param {string[][]} cells - anything that has a row a layer and an item a head
   */
  function nextHead(key, from, cells) {
    if (key === "Escape") return { layer: null, head: null };
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
    if (!step) return null;
    if (!Number.isInteger(from.layer)) return { layer: 0, head: 0 };
    const within = (place, n) => Math.min(n - 1, Math.max(0, place));
    return { layer: within(from.layer + step[0], cells.length), head: within(from.head + step[1], cells[0].length) };
  }

  /** The first and last of `wanted` tokens around one of n. */
  function around(pos, n, wanted) {
    const low = Math.min(Math.max(0, pos - Math.floor(wanted / 2)), n - wanted);
    return [low, low + wanted - 1];
  }

  function view(run, selection, theme, knobValues, knobIds, reads, before) {
    const { no_update: same, runs } = window.dash_clientside;
    const knobs = Object.fromEntries((knobIds || []).map((id, i) => [id.name, knobValues[i]]));
    const pos = runs.position(run, selection);
    const next = viewOf(run, { theme, narrow: window.innerWidth <= NARROW, knobs, selection: selected(selection, pos) }, reads || []);
    const isReady = next !== null;
    return [
      !isReady || isSame(next, before) ? same : next,
      waiting(run),
      isReady ? "panel-body" : "panel-body is-waiting",
    ];
  }

  /** The selection as panels read it: null for what is not chosen, but for the token, of which there always is one. */
  function selected(selection, pos) {
    const { layer = null, head = null } = selection || {};
    return { pos, layer, head };
  }

  /** After a figure was drawn: keep its outline, and let a click on it select. */
  function drawn() {
    requestAnimationFrame(() => attach(20));
    return window.dash_clientside.no_update;
  }

  function attach(triesLeft) {
    const graphs = marking();
    for (const graph of graphs.filter((each) => each.on && !each.isListening)) {
      graph.isListening = true;
      graph.on("plotly_click", (event) => choose(kindOf(graph).picks(event.points[0])));
      graph.on("plotly_afterplot", () => mark(graph));
      if (kindOf(graph).moves) operateByKeyboard(graph, kindOf(graph));
    }
    graphs.forEach(mark);
    if (!graphs.length && triesLeft) setTimeout(() => attach(triesLeft - 1), 50);
  }

  const marking = () => [...document.querySelectorAll("[data-marks] .js-plotly-plot")];
  const kindOf = (graph) => KINDS[graph.closest("[data-marks]").dataset.marks];
  const choose = (fields) => fields && window.dash_clientside.shell.choose(fields);

  function operateByKeyboard(graph, kind) {
    graph.tabIndex = 0;
    graph.setAttribute("role", "group");
    graph.setAttribute("aria-label", kind.says);
    graph.addEventListener("keydown", (event) => {
      const fields = kind.moves(event.key, marked, graph.data[0].text);
      if (!fields) return;
      choose(fields);
      event.preventDefault();
    });
  }

  let marked = NOTHING;

  /** Outline a selection in every figure that shows some of it. */
  function highlight(selection) {
    marked = selection;
    marking().forEach(mark);
  }

  function mark(graph) {
    if (!window.Plotly || !graph.calcdata || !graph.data.length) return; // nothing is drawn yet
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--selection").trim();
    const shapes = kindOf(graph).outlines(marked, colour, graph);
    if (isSame(graph.layout.shapes || [], shapes)) return;
    window.Plotly.relayout(graph, { shapes, ...cropped(graph) });
  }

  /** The ranges around the selected token, where the server says that a figure is too large for a telephone. */
  function cropped(graph) {
    const wanted = (graph.layout.meta || {}).cropped;
    if (!wanted || marked.pos === null) return {};
    const [low, high] = around(marked.pos, graph.data[0].x.length, wanted);
    return { "xaxis.range": [low - 0.5, high + 0.5], "yaxis.range": [high + 0.5, low - 0.5] };
  }

  const panels = { viewOf, waiting, isSame, outline, around, KINDS, view, drawn, highlight };
  if (typeof module !== "undefined") module.exports = panels;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { panels });
})();
