/**
 * The address of a view: prompt, settings and selection as a query string, and back.
 * Knows strings; knows nothing of the page.
 */
(function () {
  "use strict";

  const LONGEST = 1500; // encoded bytes; servers and chat programs cut longer addresses
  const SELECTED = ["pos", "layer", "head"];
  const NUMBERS = { max_new_tokens: "new", temperature: "t", top_k: "k", top_p: "p", seed: "seed" };

  /**
   * The query string of a request and a selection, with its "?"; without the prompt where that would be too long.
   * @param {object|null} request @param {object|null} selection - pos, layer, head: a number or null
   */
  function write(request, selection) {
    if (!request) return "";
    const query = new URLSearchParams();
    query.set("prompt", request.prompt);
    for (const [name, short] of Object.entries(NUMBERS)) {
      if (Number.isFinite(request[name])) query.set(short, String(request[name]));
    }
    query.set("bos", request.bos ? "1" : "0");
    for (const field of SELECTED) {
      if (selection && Number.isInteger(selection[field])) query.set(field, String(selection[field]));
    }
    const text = `?${query}`;
    return text.length > LONGEST ? "" : text;
  }

  /**
   * What a query string says; null where it says nothing that could be asked for.
   * @param {string} search
   * @returns {{fields: object, pos: number|null, layer: number|null, head: number|null}|null}
   */
  function read(search) {
    const query = new URLSearchParams(search);
    if (!query.has("prompt")) return null;
    const fields = { prompt: query.get("prompt"), bos: query.get("bos") !== "0" };
    for (const [name, short] of Object.entries(NUMBERS)) {
      const value = query.get(short);
      if (value !== null && value.trim() !== "" && Number.isFinite(Number(value))) fields[name] = Number(value);
    }
    const selected = SELECTED.map((field) => [field, wholeNumber(query.get(field))]);
    return { fields, ...Object.fromEntries(selected) };
  }

  function wholeNumber(text) {
    return text !== null && /^\d{1,6}$/.test(text) ? Number(text) : null;
  }

  const link = { write, read, LONGEST };
  if (typeof module !== "undefined") module.exports = link;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { link });
})();
