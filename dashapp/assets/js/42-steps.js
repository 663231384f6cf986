/**
 * A figure that holds several states of its points and shows one: Back, Next, Play and keys go from one to another.
 * Nothing moves unless a person asks for it; where a system asks for less motion, states change without gliding and
 * there is no Play. Knows figures and their buttons; knows nothing of what the states are.
 */
(function () {
  "use strict";

  const GLIDE_MS = 150;
  const HOLD_MS = 900; // of each state while playing

  const stepsOf = (graph) => ((graph.layout || {}).meta || {}).steps || null;
  const isStill = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

  /**
   * The state that a step leads to from one of n; null for what is no step.
   * @param {string} step - a button's, or a key @param {number} at @param {number} n
   */
  function stepped(step, at, n) {
    const to = { back: at - 1, ArrowLeft: at - 1, next: at + 1, ArrowRight: at + 1, Home: 0, End: n - 1 }[step];
    return to === undefined ? null : Math.min(n - 1, Math.max(0, to));
  }

  /** Numbers so far on their way, at 1 exactly there; null stays null. @param {number} share - 0 to 1 */
  function between(from, to, share) {
    if (share === 1) return to;
    return to.map((value, i) => (value === null || from[i] === null ? value : from[i] + share * (value - from[i])));
  }

  /** Which state is shown, in words, and how wide it is where each fills the map. */
  function sentence({ names, wide }, at) {
    return `${names[at]} (${at + 1} of ${names.length})${wide.length ? `, ${wide[at]} wide` : ""}`;
  }

  /** Which of its states a figure shows, -1 on the way between two: Dash may draw it anew from what it showed. */
  function shown({ x, y }, data) {
    const isSame = (one, other) => one.length === other.length && one.every((value, i) => value === other[i]);
    return x.findIndex((xs, i) => isSame(xs, data.x) && isSame(y[i], data.y));
  }

  /** After a figure was drawn: have its buttons say which state it shows. */
  function refresh(graph) {
    const steps = stepsOf(graph);
    graph.stepsShown = steps;
    const at = shown(steps, graph.data[0]);
    if (!graph.isGliding && at >= 0) graph.stepAt = at;
    say(graph);
  }

  function say(graph) {
    const bar = barOf(graph);
    const { length } = graph.stepsShown.names;
    const says = bar.querySelector(".steps-says");
    const text = sentence(graph.stepsShown, graph.stepAt);
    bar.hidden = length < 2;
    if (says.textContent !== text) says.textContent = text; // or it would be read out again
    bar.querySelector("[data-step='back']").disabled = graph.stepAt === 0;
    bar.querySelector("[data-step='next']").disabled = graph.stepAt === length - 1;
    bar.querySelector("[data-step='play']").textContent = graph.stepTimer ? "Pause" : "Play";
  }

  const barOf = (graph) => graph.closest(".panel").querySelector(".panel-steps");

  /** Show another state, gliding there. */
  async function go(graph, to) {
    const { stepsShown: steps, stepAt: from } = graph;
    graph.stepAt = to;
    graph.isGliding = true;
    say(graph);
    const start = performance.now();
    for (let share = 0; share < 1 && graph.isConnected && graph.stepAt === to; ) {
      await new Promise(requestAnimationFrame);
      share = isStill() ? 1 : Math.min(1, (performance.now() - start) / GLIDE_MS);
      await window.Plotly.restyle(graph, shownAt(steps, from, to, share), [0]);
    }
    if (graph.stepAt === to) graph.isGliding = false; // else another step has taken over
  }

  /** What Plotly is to change for a place between two states; names are where they have room, once there. */
  function shownAt({ x, y, labels, named }, from, to, share) {
    const text = labels.map((label, i) => (share === 1 && named[to].includes(i) ? label : ""));
    return { x: [between(x[from], x[to], share)], y: [between(y[from], y[to], share)], text: [text] };
  }

  function play(graph) {
    if (graph.stepTimer || isStill()) return pause(graph);
    const last = graph.stepsShown.names.length - 1;
    const forward = () => {
      if (!graph.isConnected) return pause(graph);
      if (graph.stepAt === last) return pause(graph);
      graph.stepTimer = setTimeout(forward, HOLD_MS);
      go(graph, graph.stepAt + 1);
    };
    graph.stepTimer = setTimeout(forward, HOLD_MS);
    if (graph.stepAt === last) go(graph, 0);
    else say(graph);
  }

  function pause(graph) {
    clearTimeout(graph.stepTimer);
    graph.stepTimer = null;
    if (graph.isConnected && graph.stepsShown) say(graph);
  }

  /** A button or a key. Returns whether it was one. */
  function act(graph, step) {
    if (!graph.stepsShown) return false;
    if (step === "play" || step === " ") {
      play(graph);
      return true;
    }
    const to = stepped(step, graph.stepAt, graph.stepsShown.names.length);
    if (to === null) return false;
    pause(graph);
    if (to !== graph.stepAt) go(graph, to);
    return true;
  }

  /** Once for each figure. */
  function operate(graph) {
    graph.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || event.target !== graph) return;
      if (act(graph, event.key)) event.preventDefault();
    });
  }

  function listen() {
    document.addEventListener("click", (event) => {
      const button = event.target.closest("[data-step]");
      if (button) act(button.closest(".panel").querySelector(".js-plotly-plot"), button.dataset.step);
    });
  }

  const steps = { stepped, between, sentence, shown, shownAt, refresh, operate };
  if (typeof module !== "undefined") module.exports = steps;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { steps });
    listen();
  }
})();
