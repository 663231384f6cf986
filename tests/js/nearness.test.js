"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const nearness = require("../../dashapp/assets/js/38-nearness.js");

test("what is within a window's height of the window is near", () => {
  const of = (top, bottom) => nearness.isNear({ top, bottom }, 900);
  assert.ok(of(0, 300));
  assert.ok(of(1799, 2100));
  assert.ok(!of(1800, 2100));
  assert.ok(of(-1100, -899));
  assert.ok(!of(-1100, -900));
  assert.ok(of(-5000, 5000)); // higher than the window
});

test("what has no place yet is near, and nothing is called later", () => {
  assert.ok(nearness.isNearOr(null, () => assert.fail()));
});
