/**
 * Between a slot's run and selection, the server and the strip: what its colours show, attention or a measure of each
 * token, and asking for it.
 *
 * Asks by itself and not through Dash: when a selection changes, Dash has figures to draw first.
 */
(function () {
  "use strict";

  const PATH = "/strip-attention";
  const MEASURES_PATH = "/strip-measures";
  const KEPT = 20; // traces whose measures are kept, some 100 KB each
  const STALE_MS = 250; // so long may the weights of the token before stand, then they go
  const FIRST_MS = 250; // so long do figures let weights go first
  const FRAME_MS = 16;

  const ours = () => window.dash_clientside;
  const stripOf = (slot) => document.getElementById(`token-strip-${slot}`);
  const desks = {}; // slot → its desk, the run and the selection that it follows, and what is painted
  const measured = new Map(); // key of a trace → its measures, {fault}, or null while they are asked for
  let direction = "looks_at";
  let colour = "attention";
  let units = "bits";
  let observer = null;

  function deskOf(slot) {
    desks[slot] ||= { desk: ours().weights.newDesk(), run: null, selection: null, texts: [], painted: null, paintedOn: null };
    return desks[slot];
  }

  /**
   * Show the attention of what a slot shows; ask for it where it is not known.
   * @param {string} slot @param {object|null} run
   * @param {{pos: number|null, layer: number|null, head: number|null}} selection - as the slot shows it
   */
  function follow(slot, run, selection) {
    const { weights, tokens } = ours();
    const at = deskOf(slot);
    measureBar();
    const isOnPage = slot === "a" || window.location.pathname === "/compare";
    const view = isOnPage ? viewOf(run, selection) : null;
    if (view) tokens.render(stripOf(slot), run.tokens, run.nPrompt); // Dash may draw the run after this
    if (view && (!at.run || at.run.id !== run.id || at.run.phase !== run.phase)) weights.forgetFaults(at.desk);
    if (view && (!at.run || at.run.tokens !== run.tokens)) at.texts = run.tokens.map(tokens.quoted); // a run grows
    Object.assign(at, { run, selection });
    if (view) measure(view.key);
    const asked = weights.want(at.desk, colour === "attention" ? view : null, performance.now());
    if (asked) ask(slot, asked);
    setTimeout(() => paint(slot), 0); // after the highlight, which must not wait for a thousand bars
    if (isOnPage && !ours().runs.isBusy(run) && selection.pos !== null) setTimeout(() => reveal(slot), 0); // once it is laid out
    if (at.desk.wanted && !weights.found(at.desk)) setTimeout(() => at.desk.wanted === view && !weights.found(at.desk) && show(slot, null), STALE_MS);
  }

  /** Tell the stylesheet how high the bar of strips is, which stays on top: headings must not come to lie under it. */
  function measureBar() {
    if (observer) return;
    const bar = document.querySelector(".strip-bar");
    observer = new ResizeObserver(() => document.documentElement.style.setProperty("--strip-bar", `${bar.offsetHeight}px`));
    observer.observe(bar);
  }

  /** Bring the token that a slot shows into the view of its strip. */
  function reveal(slot) {
    const { selection } = deskOf(slot);
    ours().tokens.reveal(stripOf(slot), selection.pos, window.location.pathname);
  }

  /** @returns {object|null} null while there is no trace or no token to show */
  function viewOf(run, { pos, layer, head }) {
    if (!run || run.phase !== "done" || !run.trace || pos === null) return null;
    const isHead = Number.isInteger(layer) && Number.isInteger(head);
    return { key: run.trace, pos, layer: isHead ? layer : null, head: isHead ? head : null, direction };
  }

  async function ask(slot, view) {
    const { weights } = ours();
    const { desk } = deskOf(slot);
    const further = await answered(view).then(
      (answer) => weights.arrived(desk, answer, performance.now()),
      () => weights.failed(desk, view, performance.now()) // said in a toast
    );
    if (further) ask(slot, further);
    paint(slot);
    if (!areAwaited()) setTimeout(goOn, FRAME_MS); // so that they are seen
  }

  /** Ask for the measures of a trace, once; what could not be told is asked again when its run is drawn again. */
  async function measure(key) {
    if (measured.has(key)) return;
    measured.set(key, null);
    if (measured.size > KEPT) measured.delete(measured.keys().next().value);
    try {
      const told = await answered({ key }, MEASURES_PATH);
      measured.set(key, told.fault ? told : ours().measures.decoded(told));
    } catch {
      measured.delete(key); // said in a toast
      return;
    }
    Object.keys(desks).forEach(paint);
    ours().card.refresh();
  }

  /** What is known of the tokens of what a slot shows; null where nothing is. */
  function measuresOf(slot) {
    const { run } = deskOf(slot);
    const found = run && run.phase === "done" ? measured.get(run.trace) : null;
    return found && !found.fault ? found : null;
  }

  async function answered(view, path = PATH) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(view) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response.json();
  }

  /** What is known of the wanted view; where it is on its way, what stands there stays a moment. */
  function paint(slot) {
    const { desk, painted, run } = deskOf(slot);
    if (colour !== "attention") return show(slot, run && run.phase === "done" ? shares(run.trace) : null);
    const found = ours().weights.found(desk);
    if (found) show(slot, found);
    else if (!desk.wanted || (painted && (!painted.view || painted.view.key !== desk.wanted.key))) show(slot, null);
  }

  const drawn = new Map(); // what is drawn of measures, by trace, colour and unit: the same object as long as it is the same

  /** The measures of a trace as shares of the chosen scale; null while they are not known. */
  function shares(key) {
    const found = measured.get(key);
    if (!found) return null;
    const name = [key, colour, units].join(" ");
    if (drawn.size > KEPT) drawn.clear();
    if (!drawn.has(name)) {
      drawn.set(name, found.fault ? found : { shares: ours().measures.shares(found, colour), legend: ours().measures.legend(found, colour, units) });
    }
    return drawn.get(name);
  }

  let next = null; // what is to be done after the weights

  /**
   * Do something that keeps the browser busy once the wanted weights are drawn, or have not come for a while; at once where
   * none are wanted. Of several that wait, the last.
   * @param {() => void} then
   */
  function afterWeights(then) {
    next = then;
    if (!Object.values(desks).some(({ desk }) => desk.wanted)) goOn();
    else setTimeout(() => next === then && goOn(), areAwaited() ? FIRST_MS : FRAME_MS);
  }

  const areAwaited = () => Object.values(desks).some(({ desk }) => desk.wanted && !ours().weights.found(desk));

  function goOn() {
    const then = next;
    next = null;
    if (then) then();
  }

  function show(slot, found) {
    const at = deskOf(slot);
    const { weights, measures } = ours();
    const strip = stripOf(slot);
    if (found === at.painted && strip.tokensShown === at.paintedOn && (!found || strip.hasAttribute("data-weighed"))) return;
    if (found && found.shares && found.shares.length === strip.childNodes.length) measures.paint(strip, found.shares);
    else weights.paint(strip, found && found.weights ? found : null, at.texts);
    Object.assign(at, { painted: found, paintedOn: strip.tokensShown });
    const legend = document.getElementById(`weights-legend-${slot}`);
    if (found && found.legend) scale(legend, found.legend);
    else legend.textContent = legend.title = found ? found.fault || weights.legend(found.view, found.weights, at.texts) : "";
  }

  /** A legend with its scale: what it is, from which end to which. */
  function scale(legend, { what, ends: [low, high] }) {
    const ramp = document.createElement("span");
    ramp.className = "ramp";
    legend.replaceChildren(`${what}, as colour and bar: ${low} `, ramp, ` ${high}. The first token has none.`);
    legend.title = legend.textContent;
  }

  /** Another direction: what a token looks at, or what looks at it. */
  function turn(value) {
    if (!ours().weights.DIRECTIONS.includes(value)) return;
    direction = value;
    again();
  }

  /** Another colour: attention, or a measure of each token. */
  function colourBy(value) {
    if (value !== "attention" && !ours().measures.KINDS[value]) return;
    colour = value;
    again();
  }

  /** Another unit of information: "bits" or "nats". */
  function measureIn(value) {
    units = value;
    again();
    ours().card.refresh();
  }

  function again() {
    for (const [slot, { run, selection }] of Object.entries(desks)) if (selection) follow(slot, run, selection);
  }

  const strip = { follow, afterWeights, turn, colourBy, measureIn, measuresOf, units: () => units };
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { strip });
})();
