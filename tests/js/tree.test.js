"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const tree = require("../../dashapp/assets/js/65-tree.js");

const request = { id: "1", prompt: "A cat", bos: true, model: "demo", max_new_tokens: 40, seed: 3 };
const run = (trace, nPrompt) => ({ trace, nPrompt });
const told = {
  key: "k",
  root: 4,
  start: [7, 8],
  nodes: [
    { kind: "shown", depth: 1, path: 0, tokens: [9] },
    { kind: "alternative", depth: 1, path: null, tokens: [10] },
    { kind: "beam", depth: 1, path: 1, tokens: [11] },
  ],
  paths: [{ kind: "shown", tokens: [9, 9] }, { kind: "beam", tokens: [11, 12, 13], key: null }],
};

test("a page remembers the other texts of a prompt, and how much of each was typed", () => {
  const memory = tree.newMemory();
  memory.remember(request, run("k", 3));
  memory.remember({ ...request, then: [7, 8] }, run("l", 5));
  memory.remember({ ...request, prompt: "A dog" }, run("m", 3));
  assert.deepEqual(memory.of(run("k")), { n_typed: 3, keys: ["l"] });
  assert.deepEqual(memory.of(run("l")), { n_typed: 3, keys: ["k"] });
  assert.deepEqual(memory.of(run("m")), { n_typed: 3, keys: [] });
  assert.equal(memory.of(run("unknown")), null);
  assert.equal(memory.of(null), null);
});

test("a text that is reached again keeps the request that drew it", () => {
  const memory = tree.newMemory();
  memory.remember(request, run("k", 3));
  memory.remember({ ...request, then: [7], max_new_tokens: 0 }, run("k", 4));
  assert.equal(memory.requestOf("k"), request);
  assert.equal(memory.of(run("k")).n_typed, 3);
});

test("no more are named than the server takes, the newest of them", () => {
  const memory = tree.newMemory();
  for (let i = 0; i < 20; i += 1) memory.remember({ ...request, then: [i] }, run(`k${i}`, 4));
  const { keys } = memory.of(run("k0"));
  assert.equal(keys.length, 12);
  assert.equal(keys[11], "k19");
});

const requestOf = (key) => ({ k: request, old: { ...request, then: [5], seed: 9 } })[key] || null;

test("an alternative is drawn on from, with the text on screen as ancestor", () => {
  assert.deepEqual(tree.requestFor(requestOf, told, told.nodes[1]), { ...request, then: [7, 8, 10], ancestor: "k" });
});

test("a beam is opened whole and as it is, a branch as it was drawn", () => {
  const beam = tree.requestFor(requestOf, told, tree.wayOf(told, 2));
  assert.deepEqual([beam.then, beam.max_new_tokens], [[7, 8, 11, 12, 13], 0]);
  assert.deepEqual(tree.requestFor(requestOf, told, { kind: "branch", key: "old", tokens: [1] }), requestOf("old"));
});

test("ways of a kind are counted", () => {
  const paths = ["shown", "branch", "beam", "beam"].map((kind) => ({ kind }));
  assert.deepEqual(paths.map((_, i) => tree.nameOf(paths, i)), ["On screen", "Branch 1", "Beam 1", "Beam 2"]);
});

test("nothing is asked of a text that this page does not know", () => {
  assert.equal(tree.requestFor(() => null, told, told.nodes[1]), null);
});

test("a click on the text on screen selects its token, one on the root the root", () => {
  assert.deepEqual(tree.picked(told, 0, "a"), { pos: 5 });
  assert.deepEqual(tree.picked(told, -1, "a"), { pos: 4 });
});

test("a text that is opened whole asks for no new tokens, and says nothing of how many the next prompt gets", () => {
  assert.ok(tree.isWhole(tree.requestFor(requestOf, told, tree.wayOf(told, 2))));
  assert.ok(!tree.isWhole(tree.requestFor(requestOf, told, told.nodes[1])));
  assert.ok(!tree.isWhole({ ...request, max_new_tokens: 0 })); // typed by a person
  assert.ok(!tree.isWhole({ ...request, then: [] , max_new_tokens: 0 }));
});
