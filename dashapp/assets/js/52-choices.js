/**
 * Choices for the whole app that are kept in this browser and in the link: the unit of information, and what the strips'
 * colours show. A link's choice is shown and not kept: it is somebody else's.
 */
(function () {
  "use strict";

  const UNITS = { knob: "app.units", kept: "dashapp-units" };
  const COLOUR = { knob: "strip.colour", kept: "dashapp-strip-colour" };

  const ours = () => window.dash_clientside;

  /**
   * What is chosen at the start: by the address, or else what this browser kept, or else the first.
   * @param {string} search - of the address @param {string} knob @param {string|null} kept @param {string[]} known
   */
  function atStart(search, knob, kept, known) {
    return [new URLSearchParams(search).get(knob), kept].find((value) => known.includes(value)) || known[0];
  }

  const begun = new Set(); // knobs whose start is over

  function chosen(value, options, { knob, kept }) {
    const known = options.map((option) => option.value);
    let now = value;
    if (begun.has(knob)) ours().kept.write(kept, value);
    else now = atStart(window.location.search, knob, ours().kept.read(kept), known);
    begun.add(knob);
    const [panel, name] = knob.split(".");
    ours().shell.keepKnobs(panel, { [name]: now }, { [name]: known[0] });
    return now;
  }

  function units(value, options) {
    const now = chosen(value, options, UNITS);
    ours().strip.measureIn(now);
    return [now, now];
  }

  function colour(value, options) {
    const now = chosen(value, options, COLOUR);
    document.getElementById("shell").dataset.colour = now;
    ours().strip.colourBy(now);
    return now;
  }

  const choices = { atStart, units, colour };
  if (typeof module !== "undefined") module.exports = choices;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { choices });
})();
