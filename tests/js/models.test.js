"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const models = require("../../dashapp/assets/js/36-models.js");

const row = (fields) => ({
  ...{ name: "gpt2", size_bytes: 548e6, n_params: 124439808, state: "absent", problem: null },
  ...{ done_bytes: 0, total_bytes: 0, seconds_left: null, failure: null, ...fields },
});

test("sizes are said as the server says them", () => {
  const said = [0, 12340000, 99949999, 100e6, 1204e6].map(models.megabytes);
  assert.deepEqual(said, ["0.0 MB", "12.3 MB", "99.9 MB", "100 MB", "1,204 MB"]);
});

test("parameters have three digits", () => {
  const said = [10339072, 124439808, 1557611200, null].map(models.parameters);
  assert.deepEqual(said, ["10.3 M", "124 M", "1.56 B", ""]);
});

test("the time left is said no more exactly than it is known", () => {
  const said = [0.2, 59, 150, 7300, null].map(models.timeLeft);
  assert.deepEqual(said, ["about 1 s left", "about 59 s left", "about 3 min left", "about 2 h left", ""]);
});

test("a download says its bytes, its share and its time, as far as they are known", () => {
  assert.equal(models.said(row({ state: "running" })), "Asking the hub");
  const running = { state: "running", done_bytes: 312e6, total_bytes: 548e6 };
  assert.equal(models.said(row(running)), "312 of 548 MB · 56%");
  assert.equal(models.said(row({ ...running, seconds_left: 41 })), "312 of 548 MB · 56% · about 41 s left");
});

test("a stopped download says that what is here is kept", () => {
  assert.equal(models.said(row({ state: "stopped", done_bytes: 312e6, total_bytes: 548e6 })), "Stopped at 312 of 548 MB. What is here is kept.");
  assert.equal(models.said(row({ state: "stopped" })), "Stopped");
});

test("a failure says its three sentences, and what cannot be used why", () => {
  assert.equal(models.said(row({ state: "failed", failure: { rule: "A.", instance: "B.", remedy: "C." } })), "A. B. C.");
  assert.equal(models.said(row({ state: "unusable", problem: "Too large." })), "Too large.");
});

const next = (rows, current, chosen, ...arrived) => models.next(rows, current, chosen, new Set(arrived));

test("the chip says what Generate will use, where that is another model, and what is on its way or has come", () => {
  assert.equal(next([row({ state: "here" })], "demo", "demo"), "");
  assert.equal(next([row({ state: "here" })], "demo", "demo", "gpt2"), "gpt2 is here");
  assert.equal(next([row({ state: "here" })], "demo", "gpt2", "gpt2"), "next: gpt2");
  assert.equal(next([], "demo", "gpt2"), "next: gpt2");
  const rows = [row({ state: "running", done_bytes: 1, total_bytes: 3 })];
  assert.equal(next(rows, "demo", "demo"), "gpt2 33% here");
  assert.equal(next(rows, "demo", "mine"), "next: mine · gpt2 33% here");
});

test("only what was under way can end", () => {
  const now = [row({ state: "failed" }), row({ name: "mine", state: "here" })];
  assert.deepEqual(models.ended([], now), { failed: [], arrived: [] });
  const before = [row({ state: "running" }), row({ name: "mine", state: "checking" })];
  assert.deepEqual(models.ended(before, now), { failed: [now[0]], arrived: ["mine"] });
  assert.deepEqual(models.ended(now, now), { failed: [], arrived: [] });
});

test("the demo model says what it is and the way to GPT-2 that is open", () => {
  assert.equal(models.demoNote([row({})], "gpt2"), "");
  assert.match(models.demoNote([row({})], "demo"), /its text is simple: .* set by hand .* download gpt2 in the list/);
  assert.match(models.demoNote([row({ state: "running" })], "demo"), /download gpt2 in the list/);
  assert.match(models.demoNote([row({ state: "here" })], "demo"), /choose gpt2 in the list/);
  assert.match(models.demoNote([row({ state: "unusable", problem: "x" })], "demo"), /make run MODEL=gpt2/);
  assert.match(models.demoNote([], "demo"), /make run MODEL=gpt2/);
});
