/**
 * What this browser keeps of a person's choices: theme, text size, units, colour of the strip. Knows its store and that
 * there may be none: cookies refused, or no room left. Then a choice holds until the page is loaded anew.
 */
(function () {
  "use strict";

  /** What was kept, or null. @param {string} key */
  const read = (key) => window.localStorage.getItem(key);

  /** Keep a choice, if there is room. @param {string} key @param {string} value */
  function write(key, value) {
    try {
      window.localStorage.setItem(key, value);
    } catch {
      // no room: it holds on this page all the same
    }
  }

  /** A store that is always full, and empty. */
  const none = () => ({ length: 0, key: () => null, getItem: () => null, removeItem() {}, clear() {}, setItem: refuse });

  function refuse() {
    throw new Error("This browser keeps nothing for this page.");
  }

  /**
   * Where cookies are refused, to ask for a store throws, and Dash, which asks as it starts, would draw nothing: a store
   * that is full takes its place, with which Dash and this page do without. @param {object} where - the window
   */
  function standIn(where) {
    for (const name of ["localStorage", "sessionStorage"]) {
      try {
        where[name];
      } catch {
        Object.defineProperty(where, name, { value: none(), configurable: true });
      }
    }
  }

  const kept = { read, write, standIn };
  if (typeof module !== "undefined") module.exports = kept;
  if (typeof window !== "undefined") {
    standIn(window);
    window.dash_clientside = Object.assign({}, window.dash_clientside, { kept });
  }
})();
