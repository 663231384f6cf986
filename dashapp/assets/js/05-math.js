/**
 * A component that draws MathML, for Dash has none: `dashapp/panels/formulas.py` gives the markup, from its own table.
 */
(function () {
  "use strict";

  /** @param {{markup: string}} props */
  function MathML({ markup }) {
    return window.React.createElement("div", { className: "formula", dangerouslySetInnerHTML: { __html: markup } });
  }

  if (typeof window !== "undefined") window.dashapp_math = { MathML };
})();
