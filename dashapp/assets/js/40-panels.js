/**
 * A panel's view (what the server is asked to draw), and what the browser itself draws over its figure.
 * Knows panels and figures; knows nothing of jobs.
 */
(function () {
  "use strict";

  const NARROW = 600; // pixels; the stylesheet has the same
  const OUTLINE_MS = 60; // so long do outlines that cannot be seen yet let a strip's weights go first

  const WAITING = {
    nothing: "Nothing yet. Type a prompt and press Generate.",
    running: "Being computed. It appears here when the text is complete.",
    failed: "Nothing to show, for the run did not finish. What happened is said under the prompt.",
  };

  const NAMES = { key_pos: "key" }; // what a selection calls otherwise: a view's key is its trace's

  /**
   * The view of a panel: the trace's key, how the page looks, the knobs, and of the selection what the panel reads.
   * @param {object|null} run
   * @param {object} chosen - theme; text: a factor; units: of information; narrow: a telephone's width; knobs: name → value; selection: field →
   *   value or null; beside: key and selection of the other slot, null where none is shown beside this one; pins: what is decided
   *   of the alignment of both prompts, where the panel shows something by it
   * @param {string[]} reads
   */
  function viewOf(run, chosen, reads) {
    if (!run || run.phase !== "done" || !chosen.theme || !chosen.text || !chosen.units) return null;
    const { theme, text, units, knobs, beside = null, pins = "" } = chosen;
    const selected = reads.filter((field) => field !== "pins");
    const fields = (selection) => Object.fromEntries(selected.map((field) => [field, selection[NAMES[field] || field]]));
    const others = beside && { key: beside.key, ...fields(beside.selection) };
    return { key: run.trace, theme, text, units, narrow: Boolean(chosen.narrow), knobs, beside: others, ...fields(chosen.selection), ...(pins ? { pins } : {}) };
  }

  /** What stands in a panel instead of its figure. */
  function waiting(run) {
    return WAITING[run ? run.phase : "nothing"] || "";
  }

  const DRAWING = "Being drawn";
  const ALIGNED = "Waiting for both prompts to be aligned";

  /**
   * What a panel does for a view.
   * @param {object|null} next - the view now, null where there is nothing to draw
   * @param {{asked: object|null, figure: object|null, isFaulty: boolean, isHidden: boolean}} before - asked: the view that
   *   was sent last; figure: the view that the figure shows, null for none; isHidden: something stands in its place
   * @param {() => boolean} isNear - whether the panel can be seen, or soon; only then does it ask
   * @returns {{asks: boolean, hides: boolean}} asks: send it to the server. hides: no figure that fits can be seen yet.
   *   A figure of other knobs stays until the next one has come, one of another run does not.
   */
  function stepOf(next, { asked, figure, isFaulty, isHidden }, isNear) {
    if (!next) return { asks: false, hides: true };
    return { asks: (isFaulty || !isSame(next, asked)) && isNear(), hides: isHidden && !isSame(next, figure) };
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
   * What each kind of figure outlines of the selection, and what a click on one of its points, or a key, selects; and
   * on which axes its tokens lie, if they do. Where
   * the selected token is outlined, the second one of its pair is too, dashed.
   * pos: tokens along x. row: along y, some to a row. pattern, matrix: along both, some to a row and column, one without
   * the future; in a pattern a cell is a pair, the token that looks and the one looked at. point: a token a point, in a
   * plane or a space. steps: the same in a plane, of several states. layer: layers along x, in columns that know theirs. between: layers along both, after what enters the first. head: heads along x, layers along y, or
   * each where the figure says. layer_pos, head_pos: tokens along x, layers or heads along y. bar: a token a bar. tree: a
   * token a mark, which may open another text. words: all tokens of the vocabulary as dots, in their order. token: a token of the vocabulary a cell; choosing the chosen one again
   * chooses none. vocabulary: the same, a bar each. source: a head and a token that it looks at, a bar each. lines: a
   * token at each end of a line. neuron: a neuron a bar. neuron_pos: a neuron a row,
   * tokens along x. lens: tokens along x, a token of the vocabulary a cell, which a
   * second click chooses.
   */
  const KINDS = {
    pos: {
      tokens: "x",
      outlines: (pair, colour) => pairIn(pair, (pos) => outline(pos, colour)),
      picks: (point) => ({ pos: point.x }),
    },
    pattern: {
      tokens: "xy",
      outlines: (shown, colour, graph) => pairOf(shown, colour, graph),
      picks: (point, graph) => ({ pos: tokenOf(point.pointNumber[0], "first_row", graph), key: tokenOf(point.pointNumber[1], "first_column", graph) }),
      moves: nextPair,
      says: "Pairs of tokens: arrow keys go to one, Escape chooses none",
    },
    row: {
      tokens: "y",
      outlines: (pair, colour, graph) => pairIn(pair, (pos) => stripe(rowOf(pos, graph), colour)),
      picks: (point, graph) => ({ pos: point.pointNumber[0] * tokensInRow(graph) }),
    },
    matrix: {
      tokens: "xy",
      outlines: ({ pos, key }, colour, graph) => squareOf(rowOf(pos, graph), rowOf(key ?? null, graph), colour, graph.data[0].x.length),
      picks: (point, graph) => ({ pos: point.pointNumber[0] * tokensInRow(graph) }),
    },
    point: {
      outlines: (pair, colour, graph) => (isSpace(graph) ? [] : pairIn(pair, (pos) => ring(placeOf(pos, graph.data), colour))),
      picks: (point) => (Number.isInteger(point.customdata) ? { pos: point.customdata } : null),
    },
    steps: {
      outlines: (pair, colour, graph) => pairIn(pair, (pos) => ring(placeOf(pos, graph.data), colour)),
      picks: (point) => (Number.isInteger(point.customdata) ? { pos: point.customdata } : null),
      moves: () => null,
      says: "Layer by layer: left and right arrows step, Home and End go to the ends, space plays",
    },
    head: {
      outlines: ({ layer, head }, colour, graph) =>
        Number.isInteger(layer) ? runsOf({ layer, head }, cellsOf(graph)).map((run) => headFrame(run, colour, graph)) : [],
      picks: (point) => headOf(point.customdata || [point.y, point.x]),
      moves: nextHead,
      says: "Heads: arrow keys select one, Escape none",
    },
    layer: {
      outlines: ({ layer }, colour) => (Number.isInteger(layer) ? outline(layer, colour) : []),
      picks: ({ customdata }) => (Number.isInteger(customdata) && customdata >= 0 ? { layer: customdata } : null),
      moves: (key, { layer }, _trace, graph) => nextOf(key, layer, metaOf(graph).n_layer),
      says: "Layers: left and right arrows select one, Escape none",
    },
    layer_pos: {
      tokens: "x",
      outlines: ({ layer, pos, key }, colour) => pairIn({ pos, key }, (at) => (Number.isInteger(layer) ? cell(at, layer, colour) : outline(at, colour))),
      picks: (point) => ({ pos: point.x, layer: point.y }),
      moves: (key, { layer, pos }, trace, graph) => nextCell(key, { row: layer, column: pos }, graph, (row, column) => ({ layer: row, pos: column })),
      says: "Layers and tokens: arrow keys select them, Escape none",
    },
    head_pos: {
      tokens: "x",
      outlines: ({ head, pos, key }, colour) => pairIn({ pos, key }, (at) => (Number.isInteger(head) ? cell(at, head, colour) : outline(at, colour))),
      picks: (point, graph) => ({ pos: point.x, head: point.y, layer: graph.layout.meta.layer }),
      moves: (key, { head, pos }, trace, graph) =>
        nextCell(key, { row: head, column: pos }, graph, (row, column) => ({ head: row, layer: row === null ? null : graph.layout.meta.layer, pos: column })),
      says: "Heads and tokens: arrow keys select them, Escape none",
    },
    bar: {
      outlines: () => [],
      picks: (point) => (Number.isInteger(point.customdata) ? { pos: point.customdata } : null),
    },
    tree: {
      outlines: () => [],
      picks: (point, graph) => window.dash_clientside.tree.picked(graph.layout.meta.tree, point.customdata, slotOf(graph)),
    },
    words: {
      outlines: ({ pos, target }, colour, graph) => [...ring(wordAt((metaOf(graph).token_ids || [])[pos], graph), colour), ...box(wordAt(target, graph), colour)],
      picks: ({ curveNumber, pointNumber, customdata }, _graph, { target }) => {
        const id = curveNumber === 0 ? pointNumber : customdata;
        return Number.isInteger(id) ? toggled(id, target) : null;
      },
      moves: (key) => (key === "Escape" ? { target: null } : null),
      says: "Map of tokens: arrow keys move it, plus and minus zoom, 0 shows all of it, Escape chooses none",
    },
    token: {
      outlines: () => [],
      picks: (point, graph, { target }) => (Number.isInteger(point.customdata) ? toggled(point.customdata, target) : null),
      moves: nextTarget,
      says: "Tokens: keys 1 to 5 choose one of the likeliest at the end as target, Escape none",
    },
    between: {
      outlines: ({ layer }, colour, graph) => wholeCross(Number.isInteger(layer) ? layer + 1 : null, colour, graph.data[0].x.length),
      picks: ({ pointNumber: [row] }) => ({ layer: row ? row - 1 : null }),
      moves: nextLayer,
      says: "Layers: up and down select one, Escape none",
    },
    vocabulary: {
      outlines: ({ target }, colour, graph) => stripe(barOf(target, graph.data[0]), colour),
      picks: (point, graph, { target }) => toggled(point.customdata, target),
      moves: nextBar,
      says: "Tokens: up and down choose one as target, Escape none",
    },
    source: {
      outlines: (shown, colour, { data }) => sourceRows(shown, data[0].customdata || []).map((row) => stripe(row, colour)[0]),
      picks: ({ customdata }, _graph, { pos }) => (Array.isArray(customdata) ? sourceOf(customdata, pos) : null),
      moves: nextSource,
      says: "Sources: arrow keys choose one, Escape none",
    },
    lines: {
      outlines: endsOf,
      picks: lineEnd,
      moves: nextLine,
      says: "Lines: up and down choose a token, right and left one of those it looks at, Escape none of them",
    },
    neuron: {
      outlines: (chosen, colour, graph) => stripe(neuronBar(chosen, graph.data[0]), colour),
      picks: ({ customdata }) => neuronOf(customdata),
      moves: nextNeuron,
      says: "Neurons: up and down select one, Escape none",
    },
    neuron_pos: {
      tokens: "x",
      outlines: (chosen, colour, graph) => [...pairIn(chosen, (pos) => outline(pos, colour)), ...stripe(neuronRow(chosen, graph), colour)],
      picks: ({ x, y }, graph) => cellOfNeuron(graph, y, x),
      moves: (key, chosen, _trace, graph) => nextCell(key, { row: neuronRow(chosen, graph), column: chosen.pos }, graph, (row, column) => cellOfNeuron(graph, row, column)),
      says: "Neurons and tokens: arrow keys select them, Escape no neuron",
    },
    lens: {
      tokens: "x",
      outlines: (pair, colour) => pairIn(pair, (pos) => outline(pos, colour)),
      picks: (point, graph, chosen) => lensPick(point.x, point.customdata, chosen),
      moves: nextColumn,
      says: "Tokens: left and right arrows select one, Escape lets the target go",
    },
    none: {
      outlines: () => [],
      picks: () => null,
    },
  };

  /** The layer that a key leads to from the selected one, the first where none is; null for any other key. */
  function nextLayer(key, { layer }, { x }) {
    if (key === "Escape") return { layer: null };
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (!step) return null;
    return { layer: Number.isInteger(layer) ? Math.min(x.length - 2, Math.max(0, layer + step)) : 0 };
  }

  /** The same among n layers from left to right. */
  function nextOf(key, layer, n) {
    if (key === "Escape") return { layer: null };
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return null;
    return { layer: Number.isInteger(layer) ? Math.min(n - 1, Math.max(0, layer + step)) : 0 };
  }

  /** The place of a token of the vocabulary among bars; null where it has none. */
  function barOf(token, { customdata }) {
    const i = token === null ? -1 : (customdata || []).indexOf(token);
    return i < 0 ? null : i;
  }

  /** The token that a key leads to from the target, the first where it has no bar; null for any other key. */
  function nextBar(key, { target }, trace) {
    if (key === "Escape") return { target: null };
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (!step || !(trace.customdata || []).length) return null;
    const from = barOf(target, trace);
    const to = from === null ? 0 : Math.min(trace.customdata.length - 1, Math.max(0, from + step));
    return { target: trace.customdata[to] };
  }

  const metaOf = (graph) => (graph.layout || {}).meta || {};

  /** The first token of a row or column. start: which of the two, by what the figure calls its first. */
  const tokenOf = (place, start, graph) => (place + (metaOf(graph)[start] || 0)) * tokensInRow(graph);

  /** The selected token's row and column in a pattern, what of them is shown, and the pair's cell. */
  function pairOf({ pos, key }, colour, graph) {
    const { first_row: top, first_column: left } = metaOf(graph);
    if (!Number.isInteger(top)) {
      const row = rowOf(pos, graph);
      const lines = cross(row, colour, graph.data[0].x.length);
      const column = rowOf(key ?? null, graph);
      const isInside = lines.length && column !== null && column < graph.data[0].x.length;
      return isInside ? [...lines, cellAt(row, column, colour)] : lines;
    }
    if (pos === null || !Number.isInteger(key)) return [];
    const [row, column] = [pos - top, key - left];
    const isShown = row >= 0 && column >= 0 && row < graph.data[0].y.length && column < graph.data[0].x.length;
    return isShown ? [cellAt(row, column, colour)] : [];
  }

  const cellAt = (row, column, colour) => {
    const frame = frameOf({ row, from: column, to: column }, colour);
    return { ...frame, line: { ...frame.line, width: 3 } };
  };

  /** The pair of tokens that a key leads to: from the selected one, or from the token and itself. */
  function nextPair(pressed, { pos, key }, _trace, graph) {
    if (pressed === "Escape") return { key: null };
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[pressed];
    if (!step || pos === null) return null;
    const within = (place) => Math.min(metaOf(graph).n_tokens - 1, Math.max(0, place));
    const next = within(pos + step[0]);
    return { pos: next, key: Math.min(next, within((key ?? pos) + step[1])) };
  }

  /** A row of weights that travel as bytes: 0 is none, 1 to steps + 1 are 0 to 1. */
  const weightsOf = (row, steps) => Array.from(row, (byte) => (byte ? (byte - 1) / steps : undefined));

  /** Let hovers tell bytes as the weights that they are. Nothing is drawn of them: the picture is another trace. */
  function tellWeights(graph) {
    const { byte_steps: steps } = metaOf(graph);
    const cells = graph.calcdata[0][0];
    if (!steps || cells.areWeights) return;
    cells.z = cells.z.map((row) => weightsOf(row, steps));
    cells.areWeights = true;
  }

  const sourceOf = ([layer, head, key], pos) => ({ layer, head, pos, key });

  /** The rows of a table of heads and tokens that are the selected ones. */
  const sourceRows = ({ layer, head, key }, rows) =>
    rows.flatMap((each, row) => (each[0] === layer && each[1] === head && each[2] === key ? [row] : []));

  /** The row that a key leads to from the selected one, the first when none is. */
  function nextSource(pressed, shown, { customdata: rows }) {
    if (pressed === "Escape") return { key: null };
    const step = { ArrowUp: -1, ArrowDown: 1 }[pressed];
    if (!step || !rows || !rows.length) return null;
    const [at] = sourceRows(shown, rows);
    const next = at === undefined ? 0 : Math.min(rows.length - 1, Math.max(0, at + step));
    return sourceOf(rows[next], shown.pos);
  }

  /** Lines between two columns of tokens: up and down choose a token, left and right one of its partners. */
  function nextLine(pressed, { pos, key }, trace, graph) {
    if (pressed === "Escape") return { key: null };
    const { partners, looks, n_tokens: n } = metaOf(graph);
    const step = { ArrowUp: -1, ArrowDown: 1 }[pressed];
    if (step && pos !== null) return { pos: Math.min(n - 1, Math.max(0, pos + step)) };
    const turn = { ArrowLeft: -1, ArrowRight: 1 }[pressed];
    if (!turn || !looks || pos === null) return null;
    const at = partners.indexOf(key);
    return { pos, key: partners[at < 0 ? 0 : Math.min(partners.length - 1, Math.max(0, at + turn))] };
  }

  /** The ends of the selected pair between two columns of tokens. */
  function endsOf({ pos, key }, colour, { data, layout }) {
    const { looks } = layout.meta || {};
    const line = { color: colour, width: 2 };
    const end = (token, side) => {
      const row = Number.isInteger(token) ? data[side].customdata.indexOf(token) : -1;
      if (row < 0) return [];
      const outwards = side === 0 ? { x0: -0.42, x1: 0.02 } : { x0: 0.98, x1: 1.42 };
      return [{ type: "rect", xref: "x", yref: "y", ...outwards, y0: row - 0.5, y1: row + 0.5, line, layer: "above" }];
    };
    return looks ? [...end(pos, 0), ...end(key, 1)] : end(pos, 1);
  }

  /** What a click on the end of a line chooses: in a token's row the one looked at, in its column the one that looks. */
  function lineEnd({ curveNumber, customdata }, { layout }, { pos }) {
    if (!Number.isInteger(customdata)) return null;
    return curveNumber === 1 && (layout.meta || {}).looks ? { pos, key: customdata } : { pos: customdata };
  }

  const neuronOf = ([layer, neuron]) => ({ layer, neuron });

  /** The place of the selected neuron among bars that know theirs; null where it has none. */
  function neuronBar({ layer, neuron }, { customdata }) {
    const i = customdata.findIndex((place) => place[0] === layer && place[1] === neuron);
    return i < 0 ? null : i;
  }

  /** The neuron that a key leads to from the selected one, the first where it has no bar; null for any other key. */
  function nextNeuron(key, chosen, trace) {
    if (key === "Escape") return { neuron: null };
    const step = { ArrowDown: 1, ArrowUp: -1 }[key];
    if (!step) return null;
    const from = neuronBar(chosen, trace);
    return neuronOf(trace.customdata[from === null ? 0 : Math.min(trace.customdata.length - 1, Math.max(0, from + step))]);
  }

  /** The row of the selected neuron in a map of one layer's neurons; null where it has none. */
  function neuronRow({ layer, neuron }, graph) {
    const { layer: shown, neurons = [] } = metaOf(graph);
    const row = layer === shown ? neurons.indexOf(neuron) : -1;
    return row < 0 ? null : row;
  }

  /** What a row and column of such a map select; no row lets the neuron go. */
  function cellOfNeuron(graph, row, column) {
    const { layer, neurons } = metaOf(graph);
    return row === null ? { neuron: null } : { layer, neuron: neurons[row], pos: column };
  }

  /** Of a lens of the whole text: its column first, then the word in the cell as target. */
  function lensPick(x, id, { pos, target }) {
    if (x !== pos) return { pos: x };
    return Number.isInteger(id) && id >= 0 ? toggled(id, target) : null;
  }

  /** The token beside the selected one, of the columns x; no target for Escape; null for any other key. */
  function nextColumn(key, { pos }, { x }) {
    if (key === "Escape") return { target: null };
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    return step && x.includes(pos + step) ? { pos: pos + step } : null;
  }

  /** A token of the vocabulary as target, or none where it was that before. */
  const toggled = (id, target) => ({ target: id === target ? null : id });

  /** What a key chooses of a lens: its nth likeliest token at the last point, or no target; null for any other key. */
  function nextTarget(key, { target }, { customdata }) {
    if (key === "Escape") return { target: null };
    const id = /^[1-9]$/.test(key) ? customdata[customdata.length - 1][Number(key) - 1] : undefined;
    return Number.isInteger(id) ? toggled(id, target) : null;
  }

  const tokensInRow = (graph) => (graph.layout.meta || {}).tokens_a_row || 1;

  /** The row that a token is in, of a figure with some tokens to a row. */
  const rowOf = (pos, graph) => (pos === null ? null : Math.floor(pos / tokensInRow(graph)));

  /**
   * The outlines of the selected token, and of the second one of its pair, dashed as in the strip.
   * @param {{pos: number|null, key: number|null|undefined}} pair @param {(pos: number|null) => object[]} drawn - of one
   */
  function pairIn({ pos, key }, drawn) {
    if (!Number.isInteger(key) || key === pos) return drawn(pos);
    return [...drawn(pos), ...drawn(key).map((shape) => ({ ...shape, line: { ...shape.line, dash: "dot" } }))];
  }

  /** In a square of all tokens against all: the selected token's row and column, and the cell of its pair. */
  function squareOf(row, column, colour, n) {
    const lines = wholeCross(row, colour, n);
    return lines.length && column !== null && column < n ? [...lines, cellAt(row, column, colour)] : lines;
  }

  /** The outline of a row. */
  function stripe(row, colour) {
    return outline(row, colour).map((band) => ({ ...band, xref: "paper", yref: "y", x0: 0, x1: 1, y0: band.x0, y1: band.x1 }));
  }

  /** The outline of one cell of a map. */
  function cell(column, row, colour) {
    return outline(column, colour).map((band) => ({ ...band, yref: "y", y0: row - 0.5, y1: row + 0.5 }));
  }

  /**
   * What a key selects in a map whose figure says `meta.cells`: [rows, columns].
   * @param {string} key @param {{row: number|null, column: number|null}} from @param {object} graph
   * @param {(row: number|null, column: number|null) => object} fields - of the selection, for a cell or for none
   */
  function nextCell(key, from, graph, fields) {
    if (key === "Escape") return fields(null, null);
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
    const [nRow, nColumn] = (graph.layout.meta || {}).cells || [0, 0];
    if (!step || !nRow) return null;
    const within = (place, n) => Math.min(n - 1, Math.max(0, place));
    if (!Number.isInteger(from.row) || !Number.isInteger(from.column)) return fields(from.row ?? 0, within(from.column ?? 0, nColumn));
    return fields(within(from.row + step[0], nRow), within(from.column + step[1], nColumn));
  }

  /** A row and the column of the same tokens, of a square of n. */
  function wholeCross(pos, colour, n) {
    if (pos === null || pos >= n) return [];
    const [band] = outline(pos, colour);
    const column = { ...band, yref: "y", y0: -0.5, y1: n - 0.5 };
    return [{ ...column, x0: -0.5, x1: n - 0.5, y0: band.x0, y1: band.x1 }, column];
  }

  /** Where a token is on a map of points that know theirs; null for one that is not placed. */
  function placeOf(pos, data) {
    for (const { x, y, z, customdata } of data) {
      const i = pos === null || !customdata ? -1 : customdata.indexOf(pos);
      if (i >= 0 && Number.isFinite(x[i])) return z ? [x[i], y[i], z[i]] : [x[i], y[i]];
    }
    return null;
  }

  /** Whether a figure has three dimensions: then no shape can outline a point, and a trace of its own does. */
  const isSpace = ({ data }) => data.some((trace) => trace.type === "scatter3d");

  /** What the ring of a space must change to be at a place, or nowhere; null where it is there. */
  function ringMoved(place, data) {
    const i = data.findIndex((trace) => trace.meta === "ring");
    const wanted = place || [null, null, null];
    if (i < 0 || isSame([data[i].x[0], data[i].y[0], data[i].z[0]], wanted)) return null;
    return [{ x: [[wanted[0]]], y: [[wanted[1]]], z: [[wanted[2]]] }, [i]];
  }

  const TURN = Math.PI / 18; // of a key, in radians

  /**
   * Where one looks at a space from after a key: around the vertical axis, or over it; null for any other key.
   * @param {string} key @param {{x: number, y: number, z: number}} eye
   */
  function turned(key, { x, y, z }) {
    const around = { ArrowLeft: -TURN, ArrowRight: TURN }[key];
    if (around) return { x: x * Math.cos(around) - y * Math.sin(around), y: x * Math.sin(around) + y * Math.cos(around), z };
    const up = { ArrowUp: TURN, ArrowDown: -TURN }[key];
    if (!up) return null;
    const ground = Math.hypot(x, y);
    const size = Math.hypot(ground, z);
    const angle = Math.min(1.5, Math.max(-1.5, Math.atan2(z, ground) + up)); // at the pole there is no left and right
    const wider = (size * Math.cos(angle)) / (ground || 1);
    return { x: x * wider, y: y * wider, z: size * Math.sin(angle) };
  }

  /** A ring of the same size at any zoom. */
  function ring(place, colour) {
    if (place === null) return [];
    const [xanchor, yanchor] = place;
    const size = { xsizemode: "pixel", ysizemode: "pixel", x0: -9, x1: 9, y0: -9, y1: 9 };
    return [{ type: "circle", xref: "x", yref: "y", xanchor, yanchor, ...size, line: { color: colour, width: 3 }, layer: "above" }];
  }

  /** The same as a square. */
  const box = (place, colour) => ring(place, colour).map((shape) => ({ ...shape, type: "rect" }));

  /** Where a token of the vocabulary is among dots in the order of tokens; null for none. */
  function wordAt(id, graph) {
    const { x, y } = (graph._fullData || [])[0] || {};
    return Number.isInteger(id) && x && Number.isFinite(x[id]) ? [x[id], y[id]] : null;
  }

  const STEP = 0.15; // of what is shown, that an arrow key moves
  const ZOOM = 0.8;

  /**
   * The ranges of a plane after a key: moved, zoomed about the middle; null for any other key.
   * @param {string} key @param {{x: number[], y: number[]}} ranges
   */
  function movedView(key, { x, y }) {
    const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    if (way) return { x: shifted(x, way[0] * STEP), y: shifted(y, way[1] * STEP) };
    const factor = { "+": ZOOM, "=": ZOOM, "-": 1 / ZOOM }[key];
    return factor ? { x: scaled(x, factor), y: scaled(y, factor) } : null;
  }

  const shifted = ([low, high], share) => [low + share * (high - low), high + share * (high - low)];
  const scaled = ([low, high], factor) => [1, -1].map((side) => (low + high) / 2 - (side * factor * (high - low)) / 2);

  /** A row and the column of the same tokens, of a pattern of n, without the future, where there is nothing. */
  function cross(pos, colour, n) {
    if (pos === null || pos >= n) return [];
    const [band] = outline(pos, colour);
    const row = { ...band, yref: "y", x0: -0.5, x1: pos + 0.5, y0: pos - 0.5, y1: pos + 0.5 };
    return [row, { ...band, yref: "y", y0: pos - 0.5, y1: n - 0.5 }];
  }

  const headOf = ([layer, head]) => ({ layer, head });

  /** The heads at the cells of a figure, row by row: [layer, head] or null. Null where heads lie as in the model. */
  const cellsOf = (graph) => (graph && rowsOf(graph.data[0].customdata)) || null;

  /** Bars have one row of heads. */
  const rowsOf = (heads) => (isRowOfHeads(heads) ? [heads] : heads);
  const isRowOfHeads = (heads) => Boolean(heads) && Number.isInteger(heads[0][0]);

  /** Where a head is among cells: {row, from, to} for each stretch of cells that are its own. */
  function runsOf({ layer, head }, cells) {
    if (!cells) return Number.isInteger(head) ? [{ row: layer, from: head, to: head }] : [];
    const runs = [];
    cells.forEach((row, at) =>
      row.forEach((cell, column) => {
        if (!cell || cell[0] !== layer || cell[1] !== head) return;
        const last = runs[runs.length - 1];
        if (last && last.row === at && last.to === column - 1) last.to = column;
        else runs.push({ row: at, from: column, to: column });
      }),
    );
    return runs;
  }

  /** The outline of a stretch of cells. */
  const frameOf = ({ row, from, to }, colour) => {
    const place = { xref: "x", yref: "y", x0: from - 0.5, x1: to + 0.5, y0: row - 0.5, y1: row + 0.5 };
    return { type: "rect", ...place, line: { color: colour, width: 2 }, layer: "above" };
  };

  /** The outline of a head: its cells, or the whole height of its bar. */
  const headFrame = (run, colour, graph) => (graph && isRowOfHeads(graph.data[0].customdata) ? outline(run.from, colour)[0] : frameOf(run, colour));

  /**
   * The head that a key leads to from the selected one, the first when none is; null for a key that leads nowhere.
   * @param {string} key @param {{layer: number|null, head: number|null}} from
   * @param {{text: string[][], customdata: Array|undefined}} trace - text: an item a cell; customdata: as `cellsOf`
   */
  function nextHead(key, from, { text, customdata }) {
    if (key === "Escape") return { layer: null, head: null };
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[key];
    if (!step) return null;
    const cells = rowsOf(customdata) || text.map((row, layer) => Array.from(row, (_, head) => [layer, head]));
    const isFrom = (cell) => Boolean(cell) && cell[0] === from.layer && cell[1] === from.head;
    let row = cells.findIndex((each) => each.some(isFrom));
    if (row < 0) return headOf(cells[0].find(Boolean));
    let column = cells[row].findIndex(isFrom);
    do {
      row += step[0];
      column += step[1];
      const cell = (cells[row] || [])[column];
      if (cell && !isFrom(cell)) return headOf(cell);
    } while (row >= 0 && row < cells.length && column >= 0 && column < cells[0].length);
    return { layer: from.layer, head: from.head };
  }

  /** The first and last of `wanted` tokens around one of n. */
  function around(pos, n, wanted) {
    const low = Math.min(Math.max(0, pos - Math.floor(wanted / 2)), n - wanted);
    return [low, low + wanted - 1];
  }

  /** The fields of the selection that change a panel's figure while its knobs stand so. */
  function counting({ reads, when = {} }, knobs) {
    return reads.filter((field) => !when[field] || knobs[when[field][0]] === when[field][1]);
  }

  /** A panel's view, and what stands in its place while there is none. */
  function view(theme, text, units, alignment, knobValues, _called, runA, runB, selection, knobIds, spec, asked, figure, fault, said, className) {
    const { no_update: same, shell, compare } = window.dash_clientside;
    const { slot, shares, pairs, defaults } = spec;
    const run = slot === "b" ? runB : runA;
    const shown = { ...shell.shown(run, slot, selection, alignment), n_prompt: run ? run.nPrompt : null, drawn_with: (run && run.settings) || null, branches: window.dash_clientside.tree.branchesOf(run) };
    const knobs = Object.fromEntries((knobIds || []).map((id, i) => [id.name, knobValues[i]]));
    const reads = counting(spec, knobs);
    const pairAbsence = pairs ? compare.pairAbsence(runB, selection, alignment, reads) : "";
    const pins = reads.includes("pins") || knobs.minus === "difference" ? compare.pinsOf(alignment, runA, runB) : "";
    const absence = waiting(run) || compare.absence(slot, shown, selection, reads) || pairAbsence || (pins === null ? ALIGNED : "");
    if (knobIds && knobIds.length) shell.keepKnobs(knobIds[0].panel, knobs, defaults);
    const beside = shares ? compare.beside(slot, runA, runB, selection, alignment, reads) : null;
    const looks = { theme, text, units, narrow: window.innerWidth <= NARROW };
    const next = absence ? null : viewOf(run, { ...looks, knobs, beside, selection: shown, pins }, reads);
    const { id } = window.dash_clientside.callback_context.outputs_list[0];
    window.dash_clientside.takeaway.show(id, { view: next, why: absence }, { a: runA, b: runB, selection, alignment });
    const before = { asked, figure, isFaulty: Boolean(fault), isHidden: className === HIDDEN };
    const { asks, hides } = stepOf(next, before, nearnessOf(id));
    const now = hides ? HIDDEN : SHOWN;
    const says = absence || (hides ? DRAWING : "");
    return [asks ? next : same, says === (said || "") ? same : says, now === className ? same : now];
  }

  /** Let panels put their views together: those near the window now, the others when they come near. */
  function call(bodies) {
    const near = bodies.filter((body) => window.dash_clientside.nearness.isNearOr(body, calling(JSON.parse(body.id))));
    for (const body of near) calling(JSON.parse(body.id))();
  }

  const bodies = () => [...document.querySelectorAll(".panel-body[id]")];

  /** A run has changed. */
  function callAll() {
    call(bodies());
  }

  /** All panels of the page are wanted, even those far from the window: let each put its view together. */
  function callEven() {
    for (const body of bodies()) calling(JSON.parse(body.id))();
  }

  /** The selection has changed. @param {object|null} before @param {object} selection */
  function follow(before, selection) {
    call(bodies().filter(({ dataset }) => concerns((dataset.reads || "").split(" "), before, selection)));
  }

  /** Call panels that come to the page: with all of it, or on Compare one by one. */
  function watch() {
    const known = new WeakSet();
    const observer = new MutationObserver(() => {
      for (const pair of document.querySelectorAll(".pair")) observer.observe(pair, { childList: true });
      const fresh = bodies().filter((body) => !known.has(body));
      for (const body of fresh) known.add(body);
      call(fresh);
    });
    observer.observe(document.getElementById("_pages_content"), { childList: true });
  }

  /** Whether two selections differ in one of the fields that a view reads. A token is one of its slot. */
  function concerns(reads, before, selection) {
    const isOther = (field) => !before || before[field] !== selection[field] || (field === "pos" && before.slot !== selection.slot);
    return reads.some((name) => (NAMES[name] || name) in selection && isOther(NAMES[name] || name));
  }

  /** A function that lets a panel put its view together. */
  const calling = ({ panel, slot }) => () => window.dash_clientside.set_props({ panel, slot, type: "near" }, { data: performance.now() });

  /** A question: whether a panel is near the window. If not, its view is put together again when it is. */
  function nearnessOf({ panel, slot }) {
    const body = document.getElementById(JSON.stringify({ panel, slot, type: "body" }));
    return () => window.dash_clientside.nearness.isNearOr(body, calling({ panel, slot }));
  }

  const SHOWN = "panel-body";
  const HIDDEN = "panel-body is-waiting";

  /**
   * After the server's answer: show it, unless another run has begun, keep its outline, and let a click on it select.
   * Returns the view that the figure shows, and the class of what holds it; the stylesheet hides a figure above a fault.
   */
  function drawn(_figure, fault, asked, says) {
    requestAnimationFrame(() => attach(20));
    window.dash_clientside.takeaway.remember(window.dash_clientside.callback_context.outputs_list[0].id, fault ? null : asked);
    return [fault ? null : asked, says === DRAWING ? SHOWN : window.dash_clientside.no_update];
  }

  function attach(triesLeft) {
    const graphs = marking();
    for (const graph of graphs.filter((each) => each.on && !each.isListening)) {
      graph.isListening = true;
      graph.on("plotly_click", (event) => choose(graph, kindOf(graph).picks(event.points[0], graph, marked[slotOf(graph)])));
      graph.on("plotly_afterplot", () => mark(graph));
      operateByKeyboard(graph);
      if (kindOf(graph) === KINDS.point) turnByKeyboard(graph);
      if (kindOf(graph) === KINDS.words) moveByKeyboard(graph);
      if (kindOf(graph) === KINDS.steps) window.dash_clientside.steps.operate(graph);
    }
    graphs.forEach(mark);
    if (!graphs.length && triesLeft) setTimeout(() => attach(triesLeft - 1), 50);
  }

  const marking = () => [...document.querySelectorAll("[data-marks] .js-plotly-plot")];
  const kindOf = (graph) => KINDS[metaOf(graph).marks || graph.closest("[data-marks]").dataset.marks];
  const slotOf = (graph) => metaOf(graph).slot || graph.closest("[data-marks]").dataset.slot; // whose tokens it has

  /** Select what was clicked, if the text has it. A token is one of the figure's own slot. */
  function choose(graph, fields) {
    const isBehind = fields && "pos" in fields && fields.pos >= ((graph.layout.meta || {}).n_tokens || Infinity);
    if (fields && !isBehind) window.dash_clientside.shell.choose("pos" in fields ? { slot: slotOf(graph), ...fields } : fields);
  }

  function operateByKeyboard(graph) {
    graph.addEventListener("keydown", (event) => {
      const { moves } = kindOf(graph);
      const fields = moves && moves(event.key, marked[slotOf(graph)], graph.data[0], graph);
      if (!fields) return;
      choose(graph, fields);
      event.preventDefault();
    });
  }

  /** A space can be turned with the arrow keys; a plane in its place takes no focus. */
  function turnByKeyboard(graph) {
    graph.addEventListener("keydown", (event) => {
      const eye = isSpace(graph) ? turned(event.key, graph._fullLayout.scene.camera.eye) : null;
      if (!eye) return;
      window.Plotly.relayout(graph, { "scene.camera.eye": eye });
      event.preventDefault();
    });
  }

  /** A map of the vocabulary is moved and zoomed with keys; the figure says what is the whole of it. */
  function moveByKeyboard(graph) {
    graph.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const { xaxis, yaxis } = graph._fullLayout;
      const next = event.key === "0" ? metaOf(graph).whole : movedView(event.key, { x: xaxis.range, y: yaxis.range });
      if (!next) return;
      window.Plotly.relayout(graph, { "xaxis.range": next.x, "yaxis.range": next.y });
      event.preventDefault();
    });
  }

  /** What keys do in a figure, null where they do nothing. A knob may make a figure one of another kind. */
  function keysOf(graph) {
    const kind = kindOf(graph);
    if (kind === KINDS.point) return isSpace(graph) ? "Points in three dimensions: arrow keys turn them" : null;
    return kind.moves ? kind.says : null;
  }

  /** Let a figure be reached by keyboard where keys do something in it, and say what. */
  function offerKeys(graph) {
    const says = keysOf(graph);
    if (graph.getAttribute("aria-label") === says) return;
    if (says) {
      graph.tabIndex = 0;
      graph.setAttribute("role", "group");
      graph.setAttribute("aria-label", says);
    } else for (const name of ["tabindex", "role", "aria-label"]) graph.removeAttribute(name);
  }

  const nothing = { pos: null, key: null, layer: null, head: null, target: null };
  let marked = { a: nothing, b: nothing };

  /**
   * Outline a selection in every figure that shows some of it: now where it can be seen, soon where it is near, elsewhere
   * when it comes near.
   * @param {{a: object, b: object}} selections - what is shown as selected in each slot
   */
  function highlight(selections) {
    marked = { ...marked, ...selections };
    const { isNearOr, isSeen } = window.dash_clientside.nearness;
    const near = marking().filter((graph) => isNearOr(graph, () => mark(graph))); // all are measured before one is drawn
    const seen = near.filter(isSeen);
    for (const graph of near.filter((each) => !seen.includes(each))) setTimeout(() => mark(graph), OUTLINE_MS); // one by one
    seen.forEach(mark);
  }

  function mark(graph) {
    if (!graph.isConnected || !window.Plotly || !graph.calcdata || !graph.data.length) return; // nothing is drawn yet
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--selection").trim();
    const shown = marked[slotOf(graph)];
    withoutEcho(graph);
    offerKeys(graph);
    tellWeights(graph);
    if (metaOf(graph).names) window.dash_clientside.names.tell(graph);
    if (metaOf(graph).steps) window.dash_clientside.steps.refresh(graph);
    if (kindOf(graph) === KINDS.point) {
      const moved = isSpace(graph) ? ringMoved(placeOf(shown.pos, graph.data), graph.data) : null;
      if (moved) window.Plotly.restyle(graph, ...moved);
    }
    const shapes = [...kindOf(graph).outlines(shown, colour, graph), ...withoutCounterpart(graph)];
    if (isSame(graph.layout.shapes || [], shapes)) return;
    window.Plotly.relayout(graph, { shapes, ...cropped(graph, shown.pos) });
  }

  let lone = { a: [], b: [] };

  /** Which tokens of each slot have no counterpart in the other, in order: figures side by side tell. */
  function tellLone(positions) {
    if (isSame(lone, positions)) return;
    lone = positions;
    highlight({});
  }

  /** What marks these in a figure of one prompt beside the other's. */
  function withoutCounterpart(graph) {
    const { tokens } = kindOf(graph);
    const positions = lone[slotOf(graph)];
    if (!tokens || !positions.length || !graph.closest(".half")) return [];
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
    return window.dash_clientside.lone.shapes(tokens, graph, positions, colour);
  }

  /**
   * Keep dcc.Graph from telling Dash of zooms, outlines and hovers. Nothing asks for them there, and each would cost: a
   * change of the layout, written back into the figure's property, draws all of the figure once more.
   */
  function withoutEcho(graph) {
    for (const event of ["plotly_relayout", "plotly_hover"]) graph.removeAllListeners(event);
  }

  /** The ranges around the selected token, where the server says that a figure is too large for a telephone. */
  function cropped(graph, pos) {
    const wanted = (graph.layout.meta || {}).cropped;
    if (!wanted || pos === null) return {};
    const [low, high] = around(rowOf(pos, graph), graph.data[0].x.length, wanted);
    return { "xaxis.range": [low - 0.5, high + 0.5], "yaxis.range": [high + 0.5, low - 0.5] };
  }

  const panels = { viewOf, weightsOf, tellWeights, movedView, counting, placeOf, ringMoved, turned, stepOf, waiting, isSame, outline, around, concerns, KINDS, view, callAll, callEven, follow, watch, drawn, highlight, tellLone };
  if (typeof module !== "undefined") module.exports = panels;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { panels });
})();
