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
