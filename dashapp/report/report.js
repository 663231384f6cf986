/**
 * Draws the figures of a report, one after another, from the JSON beside them, and outlines what was selected as the
 * app's pages do (40-panels.js, which stands before this in the file). Knows the file it is in; asks nobody.
 */
(function () {
  "use strict";

  const { KINDS, placeOf, ringMoved, tellWeights } = window.dash_clientside.panels;
  const { sentences } = window.dash_clientside.names;
  const read = (element) => JSON.parse(element.textContent);
  const { config, selected } = read(document.getElementById("report"));
  const colour = getComputedStyle(document.documentElement).getPropertyValue("--selection").trim();

  let hovers = null;

  /** Names of all tokens, for figures that have a dot for each. */
  const names = () => (hovers ||= sentences(read(document.getElementById("names"))));

  async function draw(place) {
    const { data, layout } = read(place.querySelector("script"));
    if ((layout.meta || {}).names) data[0].hovertext = names();
    const graph = place.appendChild(document.createElement("div"));
    await window.Plotly.newPlot(graph, data, layout, config);
    const shown = selected[place.dataset.slot];
    const kind = KINDS[place.dataset.marks];
    if (!kind || !shown) return;
    const moved = kind === KINDS.point ? ringMoved(placeOf(shown.pos, graph.data), graph.data) : null;
    if (moved) await window.Plotly.restyle(graph, ...moved);
    await window.Plotly.relayout(graph, { shapes: kind.outlines(shown, colour, graph) });
    tellWeights(graph);
    graph.on("plotly_afterplot", () => tellWeights(graph));
  }

  async function drawAll() {
    for (const place of document.querySelectorAll(".figure")) {
      await draw(place);
      await new Promise(requestAnimationFrame); // so that the page can be read and scrolled meanwhile
    }
    document.documentElement.dataset.drawn = "all";
  }

  drawAll();
})();
