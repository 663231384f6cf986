/**
 * The fields in which a person writes the target and what it is compared with: suggestions while typing, the token when
 * it is written, and the name of what is selected. Knows fields and the route; knows nothing of figures.
 */
(function () {
  "use strict";

  const PATH = "/vocabulary";
  const PAUSE_MS = 150; // between keys, before suggestions are asked for
  const FIELDS = { "selection-target": "target", "selection-against": "against" };

  const ours = () => window.dash_clientside;
  const names = new Map(); // id → "·cat #3797"
  let selected = null;
  let typing = 0;

  /** What the server knows of a text. */
  async function asked(typed) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(PATH, { method: "POST", headers, body: JSON.stringify({ typed }) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const told = await response.json();
    if (told.id !== null) names.set(told.id, told.name);
    return told;
  }

  /** The selected tokens by name in their fields, but not under the fingers of who is typing. */
  function show(selection) {
    selected = selection;
    for (const [id, field] of Object.entries(FIELDS)) {
      const input = document.getElementById(id);
      if (input && input !== document.activeElement) name(input, selection[field]);
    }
  }

  async function name(input, id) {
    if (Number.isInteger(id) && !names.has(id)) await asked(`#${id}`).catch(() => null);
    if (selected[FIELDS[input.id]] === id) fill(input, Number.isInteger(id) ? names.get(id) || `#${id}` : "");
  }

  /** What was written becomes the target, or what it is compared with; nothing for nothing. */
  async function write(input) {
    const isEmpty = input.value.trim() === "";
    const { id, fault } = isEmpty ? { id: null, fault: "" } : await asked(input.value).catch(() => ({ fault: "The server did not answer." }));
    input.setCustomValidity(fault);
    if (fault) return input.reportValidity();
    ours().shell.choose({ [FIELDS[input.id]]: id });
    fill(input, id === null ? "" : names.get(id));
  }

  /** Through Dash, whose component would write its own value back. */
  function fill(input, value) {
    if (input.value !== value) ours().set_props(input.id, { value });
  }

  function suggest(input) {
    input.setCustomValidity("");
    clearTimeout(typing);
    typing = setTimeout(async () => {
      const { suggestions } = await asked(input.value).catch(() => ({ suggestions: [] }));
      const list = document.getElementById("vocabulary");
      list.replaceChildren(...suggestions.map((each) => Object.assign(document.createElement("option"), { value: each })));
    }, PAUSE_MS);
  }

  function listen() {
    document.addEventListener("input", (event) => event.target.id in FIELDS && suggest(event.target));
    document.addEventListener("change", (event) => event.target.id in FIELDS && write(event.target));
  }

  const vocabulary = { show };
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { vocabulary });
    listen();
  }
})();
