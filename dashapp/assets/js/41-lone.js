/**
 * In figures side by side, the tokens without a counterpart in the other prompt: on dots along the axis, as in the strip.
 * Knows positions and axes; knows nothing of runs, or of how tokens are aligned.
 */
(function () {
  "use strict";

  const WIDTH = 4; // pixels; half of it lies outside of the axis

  /** Places as stretches of neighbours: [1, 2, 5] → [[1, 2], [5, 5]]. @param {number[]} places - in order */
  function stretches(places) {
    const found = [];
    for (const place of places) {
      const last = found[found.length - 1];
      if (last && place <= last[1] + 1) last[1] = place;
      else found.push([place, place]);
    }
    return found;
  }

  /**
   * Where tokens lie on an axis: with some tokens to a place it is one where any of them is. Those beyond it are left out.
   * @param {number[]} positions - in order @param {{each: number, first: number, n: number}} axis - tokens to a place, the
   * first place that is shown, how many are
   */
  function placesOf(positions, { each, first, n }) {
    return positions.map((pos) => Math.floor(pos / each) - first).filter((place) => place >= 0 && place < n);
  }

  /** A dotted line along an axis for each stretch. @param {"x"|"y"} axis @param {number[]} places @param {string} colour */
  function lines(axis, places, colour) {
    const line = { color: colour, width: WIDTH, dash: "dot" };
    return stretches(places).map(([from, to]) => {
      const [along, across] = [[from - 0.5, to + 0.5], [0, 0]];
      const [x, y] = axis === "x" ? [along, across] : [across, along];
      const refs = axis === "x" ? { xref: "x", yref: "paper" } : { xref: "paper", yref: "y" };
      return { type: "line", ...refs, x0: x[0], x1: x[1], y0: y[0], y1: y[1], line, layer: "above" };
    });
  }

  /**
   * The dotted lines of a figure.
   * @param {string} axes - on which its tokens lie: "x", "y" or "xy" @param {object} graph
   * @param {number[]} positions - of the tokens without a counterpart, in order @param {string} colour
   */
  function shapes(axes, { data, layout }, positions, colour) {
    const { tokens_a_row: each = 1, first_row: top = 0, first_column: left = 0 } = (layout || {}).meta || {};
    const first = { x: left, y: top };
    const isMap = data[0].type === "heatmap";
    return [...axes].flatMap((axis) => {
      const n = isMap && data[0][axis] ? data[0][axis].length : Infinity;
      return lines(axis, placesOf(positions, { each, first: first[axis], n }), colour);
    });
  }

  const lone = { stretches, placesOf, shapes };
  if (typeof module !== "undefined") module.exports = lone;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { lone });
})();
