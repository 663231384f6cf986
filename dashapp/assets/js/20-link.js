/**
 * The address of a view: prompts, settings, selection, knobs and edits of an alignment as a query string, and back.
 * Knows strings; knows nothing of the page.
 */
(function () {
  "use strict";

  const LONGEST = 1500; // encoded bytes; servers and chat programs cut longer addresses
  const RECIPE = "r"; // the name of the key that stands for requests
  const SLOTS = { a: "", b: "b." }; // slot → what stands before the names of its fields
  const SELECTED = ["pos", "key", "layer", "head", "neuron", "target", "against"];
  const NUMBERS = { max_new_tokens: "new", temperature: "t", top_k: "k", top_p: "p", seed: "seed" };
  const FILE = /^[0-9a-f]{64}$/; // the key of a run that came by a file
  const PINS = /^(\d{1,6}-\d{1,6}|[ab]\d{1,6})(\.(\d{1,6}-\d{1,6}|[ab]\d{1,6}))*$/; // edits, as 62-alignment.js has them
  const KNOB = /^[a-z][a-z0-9-]+\.[a-z][a-z0-9_-]*$/; // panel.knob; "b." is too short for a panel

  /**
   * The query string of a view, with its "?"; empty where there is nothing to say, or no key for what would be too long.
   * @param {{a: object|null, b: object|null}} requests
   * @param {object|null} selection - slot, and any of SELECTED: a number or null
   * @param {Object<string, string>} knobs - "panel.knob" → value, of those that are not as at first
   * @param {function(string): string|null} keyOf - the key under which the server keeps the requests' part
   * @param {string} pins - edits of the alignment of two prompts
   */
  function write(requests, selection, knobs, keyOf = () => null, pins = "") {
    const asked = new URLSearchParams();
    for (const [slot, before] of Object.entries(SLOTS)) if (requests[slot]) writeRequest(asked, requests[slot], before);
    if (![...asked].length) return "";
    const seen = new URLSearchParams(); // what may change while the requests stay: it is no part of what is kept
    for (const [slot, before] of Object.entries(SLOTS)) {
      if (requests[slot] && requests[slot].weights) seen.set(`${before}weights`, requests[slot].weights);
      if (requests[slot] && requests[slot].file) seen.set(`${before}file`, requests[slot].file);
    }
    if (selection && selection.slot === "b" && Number.isInteger(selection.pos)) seen.set("slot", "b");
    for (const field of SELECTED) {
      if (selection && Number.isInteger(selection[field])) seen.set(field, String(selection[field]));
    }
    if (pins && requests.a && requests.b) seen.set("align", pins);
    for (const [name, value] of Object.entries(knobs || {})) seen.set(name, value);
    const whole = joined(asked, seen);
    if (whole.length <= LONGEST) return whole;
    const key = keyOf(String(asked));
    return key ? joined(new URLSearchParams({ [RECIPE]: key }), seen) : "";
  }

  function joined(...parts) {
    return `?${parts.map(String).filter(Boolean).join("&")}`;
  }

  function writeRequest(query, request, before) {
    query.set(`${before}prompt`, request.prompt);
    for (const [name, short] of Object.entries(NUMBERS)) {
      if (Number.isFinite(request[name])) query.set(before + short, String(request[name]));
    }
    query.set(`${before}bos`, request.bos ? "1" : "0");
    if (request.stop_at_end === false) query.set(`${before}stop`, "0");
    if (request.then && request.then.length) query.set(`${before}then`, request.then.join("."));
    if (request.model) query.set(`${before}model`, request.model);
  }

  /**
   * What a query string says. a, b: a request's fields, null where it names no prompt; knobs as `write` takes them.
   * recipe: null, or the key of requests that are not known: not yet, or nowhere.
   * @param {string} search
   * @param {function(string): string|null|undefined} textOf - what the server keeps under a key
   */
  function read(search, textOf = () => null) {
    const query = new URLSearchParams(search);
    const key = query.get(RECIPE);
    const kept = key ? textOf(key) : null;
    const asked = key ? new URLSearchParams(kept || "") : query;
    const selection = Object.fromEntries(SELECTED.map((field) => [field, wholeNumber(query.get(field))]));
    const knobs = Object.fromEntries([...query].filter(([name]) => KNOB.test(name)));
    return {
      recipe: key && !kept ? key : null,
      a: readRequest(asked, query, SLOTS.a),
      b: readRequest(asked, query, SLOTS.b),
      selection: { slot: query.get("slot") === "b" ? "b" : "a", ...selection },
      knobs,
      pins: PINS.test(query.get("align") || "") ? query.get("align") : "",
    };
  }

  function readRequest(asked, query, before) {
    if (!asked.has(`${before}prompt`)) return null;
    const fields = { prompt: asked.get(`${before}prompt`), bos: asked.get(`${before}bos`) !== "0" };
    for (const [name, short] of Object.entries(NUMBERS)) {
      const value = asked.get(before + short);
      if (value !== null && value.trim() !== "" && Number.isFinite(Number(value))) fields[name] = Number(value);
    }
    if (asked.get(`${before}stop`) === "0") fields.stop_at_end = false;
    const then = asked.get(`${before}then`);
    if (then !== null && /^\d{1,5}(\.\d{1,5})*$/.test(then)) fields.then = then.split(".").map(Number);
    if (asked.get(`${before}model`)) fields.model = asked.get(`${before}model`);
    if (query.get(`${before}weights`)) fields.weights = query.get(`${before}weights`);
    if (FILE.test(query.get(`${before}file`) || "")) fields.file = query.get(`${before}file`);
    return fields;
  }

  function wholeNumber(text) {
    return text !== null && /^\d{1,6}$/.test(text) ? Number(text) : null;
  }

  const link = { write, read, LONGEST };
  if (typeof module !== "undefined") module.exports = link;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { link });
})();
