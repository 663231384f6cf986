"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const steps = require("../../dashapp/assets/js/42-steps.js");

const made = { names: ["into layer 0", "out of layer 0"], x: [[0, null, 2], [4, null, 6]], y: [[0, null, 0], [1, null, 1]], wide: [2, 3.5], labels: ["a", "b", "c"], named: [[0], [0, 2]] };

test("buttons and keys lead to the next state and stop at the ends", () => {
  assert.equal(steps.stepped("next", 3, 5), 4);
  assert.equal(steps.stepped("ArrowRight", 4, 5), 4);
  assert.equal(steps.stepped("back", 0, 5), 0);
  assert.equal(steps.stepped("Home", 3, 5), 0);
  assert.equal(steps.stepped("End", 3, 5), 4);
  assert.equal(steps.stepped("Tab", 3, 5), null);
});

test("points glide between two states, and what has no place keeps none", () => {
  assert.deepEqual(steps.shownAt(made, 0, 1, 0.5), { x: [[2, null, 4]], y: [[0.5, null, 0.5]], text: [["", "", ""]] });
  assert.deepEqual(steps.shownAt(made, 0, 1, 1), { x: [made.x[1]], y: [made.y[1]], text: [["a", "", "c"]] });
});

test("a figure knows which state it shows, and that it is between two", () => {
  assert.equal(steps.shown(made, { x: made.x[1], y: made.y[1] }), 1);
  assert.equal(steps.shown(made, { x: [2, null, 4], y: [0.5, null, 0.5] }), -1);
});

test("a state is told in words, with its width where each fills the map", () => {
  assert.equal(steps.sentence(made, 1), "out of layer 0 (2 of 2), 3.5 wide");
  assert.equal(steps.sentence({ ...made, wide: [] }, 0), "into layer 0 (1 of 2)");
});

test("the end of a way is exact, whatever floats do on it", () => {
  assert.deepEqual(steps.between([0.1, 1e9], [0.3, 1e-9], 1), [0.3, 1e-9]);
  assert.notDeepEqual([0.1 + (0.3 - 0.1), 1e9 + (1e-9 - 1e9)], [0.3, 1e-9]);
});
