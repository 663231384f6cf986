"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { stretches, placesOf, shapes } = require("../../dashapp/assets/js/41-lone.js");

const range = (n) => [...Array(n).keys()];
const ends = (found) => found.map(({ x0, x1, y0, y1 }) => [x0, x1, y0, y1]);

test("neighbours are one stretch", () => {
  assert.deepEqual(stretches([]), []);
  assert.deepEqual(stretches([3]), [[3, 3]]);
  assert.deepEqual(stretches([0, 1, 2, 5, 7, 8]), [[0, 2], [5, 5], [7, 8]]);
  assert.deepEqual(stretches([2, 2, 3]), [[2, 3]]); // some tokens to a place
});

test("tokens that are pooled or not shown lie where they are shown", () => {
  assert.deepEqual(placesOf([1, 4, 9], { each: 1, first: 0, n: 9 }), [1, 4]);
  assert.deepEqual(placesOf([1, 4, 9], { each: 4, first: 0, n: 9 }), [0, 1, 2]);
  assert.deepEqual(placesOf([1, 4, 9], { each: 1, first: 3, n: 9 }), [1, 6]);
});

test("tokens across are on dots below the axis, in a square at the side too", () => {
  const bars = { data: [{ type: "bar", x: range(9) }], layout: { meta: {} } };
  const below = shapes("x", bars, [1, 2, 6], "grey");
  assert.deepEqual(ends(below), [[0.5, 2.5, 0, 0], [5.5, 6.5, 0, 0]]);
  assert.deepEqual(below.map(({ xref, yref, line }) => [xref, yref, line.dash, line.color]), Array(2).fill(["x", "paper", "dot", "grey"]));
  const square = { data: [{ type: "heatmap", x: range(4), y: range(4) }], layout: { meta: { first_row: 2, first_column: 0 } } };
  const both = shapes("xy", square, [1, 3, 6], "grey");
  assert.deepEqual(ends(both), [[0.5, 1.5, 0, 0], [2.5, 3.5, 0, 0], [0, 0, 0.5, 1.5]]);
  assert.deepEqual(both.map(({ xref, yref }) => [xref, yref]), [["x", "paper"], ["x", "paper"], ["paper", "y"]]);
  assert.deepEqual(shapes("xy", square, [], "grey"), []);
});
