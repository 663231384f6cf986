/**
 * Between a slot's run and selection, the server and the strip: whose attention is shown, and asking for it.
 *
 * Asks by itself and not through Dash: when a selection changes, Dash has figures to draw first.
 */
(function () {
  "use strict";

  const PATH = "/strip-attention";
  const STALE_MS = 250; // so long may the weights of the token before stand, then they go

  const ours = () => window.dash_clientside;
  const stripOf = (slot) => document.getElementById(`token-strip-${slot}`);
  const desks = {}; // slot → its desk, the run and the selection that it follows, and what is painted
  let direction = "looks_at";
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
    measure();
    const isOnPage = slot === "a" || window.location.pathname === "/compare";
    const view = isOnPage ? viewOf(run, selection) : null;
    if (view) tokens.render(stripOf(slot), run.tokens, run.nPrompt); // Dash may draw the run after this
    if (view && (!at.run || at.run.id !== run.id || at.run.phase !== run.phase)) weights.forgetFaults(at.desk);
    if (view && (!at.run || at.run.tokens !== run.tokens)) at.texts = run.tokens.map(tokens.quoted); // a run grows
    Object.assign(at, { run, selection });
    const asked = weights.want(at.desk, view, performance.now());
    if (asked) ask(slot, asked);
    setTimeout(() => paint(slot), 0); // after the highlight, which must not wait for a thousand bars
    if (isOnPage && !ours().runs.isBusy(run) && selection.pos !== null) setTimeout(() => reveal(slot), 0); // once it is laid out
    if (view && !weights.found(at.desk)) setTimeout(() => at.desk.wanted === view && !weights.found(at.desk) && show(slot, null), STALE_MS);
  }

  /** Tell the stylesheet how high the bar of strips is, which stays on top: headings must not come to lie under it. */
  function measure() {
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
    const next = await answered(view).then(
      (answer) => weights.arrived(desk, answer, performance.now()),
      () => weights.failed(desk, view, performance.now()) // said in a toast
    );
    if (next) ask(slot, next);
    paint(slot);
  }

  async function answered(view) {
    const headers = { "Content-Type": "application/json" };
    const response = await fetch(PATH, { method: "POST", headers, body: JSON.stringify(view) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    return response.json();
  }

  /** What is known of the wanted view; where it is on its way, what stands there stays a moment. */
  function paint(slot) {
    const { desk, painted } = deskOf(slot);
    const found = ours().weights.found(desk);
    if (found) show(slot, found);
    else if (!desk.wanted || (painted && painted.view.key !== desk.wanted.key)) show(slot, null);
  }

  function show(slot, found) {
    const at = deskOf(slot);
    const { weights } = ours();
    const strip = stripOf(slot);
    if (found === at.painted && strip.tokensShown === at.paintedOn && (!found || strip.hasAttribute("data-weighed"))) return;
    weights.paint(strip, found && found.weights ? found : null, at.texts);
    Object.assign(at, { painted: found, paintedOn: strip.tokensShown });
    const legend = document.getElementById(`weights-legend-${slot}`);
    legend.textContent = legend.title = found ? found.fault || weights.legend(found.view, found.weights, at.texts) : "";
  }

  /** Another direction: what a token looks at, or what looks at it. */
  function turn(value) {
    if (!ours().weights.DIRECTIONS.includes(value)) return;
    direction = value;
    for (const [slot, { run, selection }] of Object.entries(desks)) if (selection) follow(slot, run, selection);
  }

  const strip = { follow, turn };
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { strip });
})();
