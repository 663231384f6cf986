/**
 * What the Model page takes from the run on screen: which model it is of, and how many tokens it has.
 */
(function () {
  "use strict";

  /**
   * The number of tokens as it stands in a shape, "n" before any run.
   * @param {object|null} run
   */
  function nTokens(run) {
    return run && run.tokens && run.tokens.length ? run.tokens.length.toLocaleString("en") : "n";
  }

  /** The same in every shape. @param {object|null} run @param {object[]} places - the ids of them */
  function tokens(run, places) {
    return places.map(() => nTokens(run));
  }

  /**
   * The model of the run on screen, once it is another than before.
   * @param {object|null} run @param {string|null} before - its name
   */
  function model(run, before) {
    const name = run && run.model ? run.model.name : null;
    return name === null || name === before ? window.dash_clientside.no_update : name;
  }

  /** Compute the present prompt again: what Retry does. */
  function again(nClicks) {
    if (nClicks) document.getElementById("retry-a").click();
    return window.dash_clientside.no_update;
  }

  const facts = { nTokens, tokens, model, again };
  if (typeof module !== "undefined") module.exports = facts;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { facts });
})();
