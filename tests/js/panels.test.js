"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const panels = require("../../dashapp/assets/js/40-panels.js");

const done = { phase: "done", trace: "k" };
const chosen = { theme: "dark", narrow: false, knobs: { scale: "fit" }, selection: { pos: 4 } };

test("a panel's view holds what it reads of the selection and nothing else", () => {
  assert.deepEqual(panels.viewOf(done, chosen, ["pos"]), { key: "k", theme: "dark", narrow: false, knobs: { scale: "fit" }, pos: 4 });
  assert.ok(!("pos" in panels.viewOf(done, chosen, [])));
});

test("a panel that does not read the selection has the same view when it changes", () => {
  const moved = { ...chosen, selection: { pos: 5 } };
  assert.ok(panels.isSame(panels.viewOf(done, chosen, []), panels.viewOf(done, moved, [])));
  assert.ok(!panels.isSame(panels.viewOf(done, chosen, ["pos"]), panels.viewOf(done, moved, ["pos"])));
});

test("nothing is asked for before a run is done or the theme is known", () => {
  assert.equal(panels.viewOf(null, chosen, []), null);
  assert.equal(panels.viewOf({ ...done, phase: "running" }, chosen, []), null);
  assert.equal(panels.viewOf(done, { ...chosen, theme: undefined }, []), null);
});

test("every phase but done says what will be here", () => {
  for (const phase of ["nothing", "asking", "queued", "running", "failed"]) assert.ok(panels.waiting({ phase }));
  assert.equal(panels.waiting(done), "");
});

test("the outline surrounds one position", () => {
  const [shape] = panels.outline(4, "#b26a00");
  assert.deepEqual([shape.x0, shape.x1, shape.line.color], [3.5, 4.5, "#b26a00"]);
  assert.deepEqual(panels.outline(null, "#b26a00"), []);
});

test("a pattern outlines what a token looks at and who looks at it, and no future", () => {
  const [row, column] = panels.KINDS.pattern.outlines({ pos: 4 }, "#b26a00", { data: [{ x: Array(9) }] });
  assert.deepEqual([row.x0, row.x1, row.y0, row.y1], [-0.5, 4.5, 3.5, 4.5]);
  assert.deepEqual([column.x0, column.x1, column.y0, column.y1], [3.5, 4.5, 3.5, 8.5]);
  assert.deepEqual(panels.KINDS.pattern.outlines({ pos: null }, "#b26a00", { data: [{ x: Array(9) }] }), []);
});

test("a grid of heads outlines the selected one, and a click selects by layer and head", () => {
  const [shape] = panels.KINDS.head.outlines({ layer: 2, head: 5 }, "#b26a00");
  assert.deepEqual([shape.x0, shape.x1, shape.y0, shape.y1], [4.5, 5.5, 1.5, 2.5]);
  assert.deepEqual(panels.KINDS.head.outlines({ layer: null, head: null }, "#b26a00"), []);
  assert.deepEqual(panels.KINDS.head.picks({ x: 5, y: 2 }), { layer: 2, head: 5 });
});

test("arrow keys walk the heads and stay inside", () => {
  const cells = [Array(4), Array(4), Array(4)];
  const { moves } = panels.KINDS.head;
  assert.deepEqual(moves("ArrowDown", { layer: null, head: null }, cells), { layer: 0, head: 0 });
  assert.deepEqual(moves("ArrowRight", { layer: 1, head: 2 }, cells), { layer: 1, head: 3 });
  assert.deepEqual(moves("ArrowRight", { layer: 1, head: 3 }, cells), { layer: 1, head: 3 });
  assert.deepEqual(moves("ArrowDown", { layer: 2, head: 0 }, cells), { layer: 2, head: 0 });
  assert.deepEqual(moves("Escape", { layer: 2, head: 0 }, cells), { layer: null, head: null });
  assert.equal(moves("a", { layer: 2, head: 0 }, cells), null);
});

test("the bar of all others selects nothing", () => {
  assert.deepEqual(panels.KINDS.bar.picks({ customdata: 3 }), { pos: 3 });
  assert.equal(panels.KINDS.bar.picks({}), null);
});

test("a crop surrounds its token and stays within the text", () => {
  assert.deepEqual(panels.around(50, 100, 40), [30, 69]);
  assert.deepEqual(panels.around(3, 100, 40), [0, 39]);
  assert.deepEqual(panels.around(99, 100, 40), [60, 99]);
});
