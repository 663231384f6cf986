/**
 * The names of all tokens, fetched when a figure first has a dot for each, and told when one is pointed at: in every
 * such figure they would weigh more than its dots. Knows figures; knows nothing of panels.
 */
(function () {
  "use strict";

  const PATH = "/vocabulary/names";
  let asked = null;

  /** A sentence for each token, by its id. @param {string[]} names - as figures write them */
  function sentences(names) {
    return names.map((name, id) => `‘${name}’ (token ${id})`);
  }

  /** Those of the server, or null where it does not answer; then it is asked again next time. */
  function all() {
    asked ||= fetch(PATH)
      .then((response) => (response.ok ? response.json() : Promise.reject(new Error(`HTTP ${response.status}`))))
      .then(sentences)
      .catch(() => (asked = null));
    return asked;
  }

  /** Let the dots of a figure's first trace say their names. What is drawn knows its texts only when it is pointed at. */
  async function tell(graph) {
    const hovers = await all();
    const [dots] = graph._fullData || [];
    if (!hovers || !dots || !graph.layout.meta.names || dots.hovertext === hovers) return;
    graph.data[0].hovertext = dots.hovertext = hovers;
  }

  const names = { sentences, tell };
  if (typeof module !== "undefined") module.exports = names;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { names });
})();
