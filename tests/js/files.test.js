"use strict";
const test = require("node:test");
const assert = require("node:assert");
const files = require("../../dashapp/assets/js/85-files.js");

test("a file tells of its run what a server takes", () => {
  assert.deepEqual(files.told({ nPrompt: 3, stop: "length", settings: { seed: 1 } }), { n_prompt: 3, stop: "length", settings: { seed: 1 } });
  assert.deepEqual(files.told({ nPrompt: 3 }), { n_prompt: 3, stop: "none", settings: null });
});

test("progress is whole percents and never more than there is", () => {
  assert.deepEqual([files.percent(0, 0), files.percent(1, 3), files.percent(3, 3)], ["0 %", "33 %", "100 %"]);
});

test("a check that is awaited says its place or how far it is", () => {
  assert.equal(files.awaited({ phase: "queued", place: 3 }), "The check waits for a place: number 3 in the queue.");
  assert.equal(files.awaited({ phase: "running", share: 0.5 }), "Its tokens are run again: 50 %.");
});
