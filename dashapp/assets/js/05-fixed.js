/**
 * A component that draws HTML as it is, for Dash has none: `dashapp/panels/fixed.py` gives it, from texts of the code.
 */
(function () {
  "use strict";

  /** @param {{html: string}} props */
  function Fixed({ html }) {
    return window.React.createElement("div", { className: "fixed", dangerouslySetInnerHTML: { __html: html } });
  }

  if (typeof window !== "undefined") window.dashapp_fixed = { Fixed };
})();
