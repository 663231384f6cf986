"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { newHistory, titleOf, MOST } = require("../../dashapp/assets/js/67-history.js");

/** A store as browsers have one; most: characters that it takes. */
function newStorage(most = Infinity) {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, text) => {
      if (text.length > most) throw new Error("QuotaExceededError");
      kept.set(key, text);
    },
    removeItem: (key) => kept.delete(key),
  };
}

function newOne(storage = newStorage()) {
  let [now, serial] = [0, 0];
  return newHistory(storage, () => (now += 1), () => `e${(serial += 1)}`);
}

const request = (prompt, more = {}) => ({ id: `r-${prompt}`, prompt, model: "demo", seed: 0, bos: true, weights: "0123456789ab", ...more });
const prompts = (history) => history.all().map((entry) => entry.request.prompt);

test("the newest prompt stands first, with its model, settings and weights", () => {
  const history = newOne();
  history.remember(request("one"));
  history.remember(request("two", { seed: 7 }));
  assert.deepEqual(prompts(history), ["two", "one"]);
  const [{ request: kept, at }] = history.all();
  assert.deepEqual(kept, { prompt: "two", model: "demo", seed: 7, bos: true, weights: "0123456789ab" });
  assert.equal(at, 2);
});

test("a prompt that is run again moves up and keeps name and pin", () => {
  const history = newOne();
  history.remember(request("one"));
  history.rename("e1", " first ");
  history.pin("e1", true);
  history.remember(request("two"));
  history.remember(request("one", { id: "another", weights: "ffffffffffff" }));
  const [first, ...others] = history.all();
  assert.equal(others.length, 1);
  assert.deepEqual([first.name, first.isPinned, first.at, first.request.weights], ["first", true, 3, "ffffffffffff"]);
});

test("other settings or another model are another entry", () => {
  const history = newOne();
  history.remember(request("one"));
  history.remember(request("one", { seed: 1 }));
  history.remember(request("one", { model: "gpt2" }));
  assert.equal(history.all().length, 3);
});

test("what is over the limit goes, the oldest that is not pinned first", () => {
  const history = newOne();
  for (let i = 0; i < MOST; i += 1) history.remember(request(`p${i}`));
  history.pin("e1", true);
  history.remember(request("one more"));
  const left = prompts(history);
  assert.equal(left.length, MOST);
  assert.equal(left[0], "p0");
  assert.ok(!left.includes("p1") && left.includes("p2") && left.includes("one more"));
});

test("long prompts leave room for fewer", () => {
  const history = newOne();
  for (let i = 0; i < 12; i += 1) history.remember(request(`${i} ${"x".repeat(120000)}`));
  assert.equal(history.all().length, 8);
  assert.ok(prompts(history)[0].startsWith("11 "));
});

test("entries are deleted one by one, or all, and brought back", () => {
  const history = newOne();
  history.remember(request("one"));
  history.remember(request("two"));
  const before = history.all();
  history.remove("e1");
  assert.deepEqual(prompts(history), ["two"]);
  history.clear();
  assert.deepEqual(history.all(), []);
  history.restore(before);
  assert.deepEqual(prompts(history), ["two", "one"]);
});

test("a browser without room says so and loses nothing", () => {
  const history = newOne(newStorage(400));
  assert.ok(history.remember(request("one")));
  assert.ok(!history.remember(request("x".repeat(500))));
  assert.deepEqual(prompts(history), ["one"]);
});

test("what somebody else wrote into the store is left out", () => {
  const storage = newStorage();
  const history = newOne(storage);
  for (const text of ["{", "7", '{"a": 1}', '[null, 3, {"id": "x"}, {"id": "x", "at": 1, "request": {"prompt": 7}}]']) {
    storage.setItem("dashapp-history", text);
    assert.deepEqual(history.all(), []);
  }
});

test("an entry is called by its name, or as its prompt begins", () => {
  assert.equal(titleOf({ name: "mine", request: { prompt: "x" } }), "mine");
  assert.equal(titleOf({ request: { prompt: " a\n\n b " } }), "a b");
  assert.equal(titleOf({ request: { prompt: "" } }), "(an empty prompt)");
  assert.equal(titleOf({ request: { prompt: "y".repeat(200) } }).length, 91);
});
