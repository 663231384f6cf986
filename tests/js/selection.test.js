"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const selection = require("../../dashapp/assets/js/25-selection.js");

const { NOTHING, changed, inModel, isEmpty, isSame, posIn, remembered, sentence } = selection;

test("what is not named stays as it is", () => {
  const head = changed(NOTHING, { layer: 3, head: 7 });
  assert.deepEqual(changed(head, { slot: "b", pos: 5 }), { ...NOTHING, slot: "b", pos: 5, layer: 3, head: 7 });
  assert.equal(changed(null, { pos: 1 }).pos, 1);
});

test("another token drops the second one, the same token keeps it", () => {
  const pair = changed(NOTHING, { pos: 5, key: 2 });
  assert.equal(changed(pair, { pos: 5 }).key, 2);
  assert.equal(changed(pair, { pos: 6 }).key, null);
  assert.equal(changed(pair, { pos: 6, key: 1 }).key, 1);
});

test("without a layer there is neither head nor neuron", () => {
  const full = { ...NOTHING, layer: 1, head: 2, neuron: 3 };
  assert.deepEqual(changed(full, { layer: null }), NOTHING);
});

test("only changes are remembered, and not for ever", () => {
  const one = { ...NOTHING, pos: 1 };
  assert.deepEqual(remembered([], NOTHING, one), [NOTHING]);
  assert.deepEqual(remembered([], one, { ...one }), []);
  assert.deepEqual(remembered([], null, one), [NOTHING]);
  const many = Array.from({ length: 100 }, (_, pos) => ({ ...NOTHING, pos }));
  const longer = remembered(many, { ...NOTHING, pos: 100 }, NOTHING);
  assert.deepEqual([longer.length, longer[0].pos, longer[99].pos], [100, 1, 100]);
});

test("parts that a model does not have are not selected in it", () => {
  const small = { n_layer: 3, n_head: 2, d_mlp: 11 };
  assert.deepEqual(inModel({ ...NOTHING, layer: 2, head: 1 }, small), { ...NOTHING, layer: 2, head: 1 });
  assert.deepEqual(inModel({ ...NOTHING, layer: 2, head: 2 }, small), { ...NOTHING, layer: 2, head: null });
  assert.deepEqual(inModel({ ...NOTHING, layer: 3, head: 0, neuron: 1 }, small), NOTHING);
  assert.deepEqual(inModel({ ...NOTHING, layer: 0, neuron: 10 }, small), { ...NOTHING, layer: 0, neuron: 10 });
  assert.deepEqual(inModel({ ...NOTHING, layer: 0, neuron: 11 }, small), { ...NOTHING, layer: 0 });
});

test("a token is selected in its own prompt alone", () => {
  const there = { ...NOTHING, slot: "b", pos: 4 };
  assert.deepEqual([posIn(there, "b"), posIn(there, "a"), posIn(null, "a"), posIn(NOTHING, "a")], [4, null, null, null]);
});

test("which prompt is in view makes no selection", () => {
  assert.ok(isEmpty({ ...NOTHING, slot: "b" }));
  assert.ok(isEmpty(null));
  assert.ok(!isEmpty({ ...NOTHING, target: 0 }));
  assert.ok(isSame(null, NOTHING));
});

test("a selection is said in words", () => {
  const token = { token: "token 5 ‘·cat’", second: "", part: "of the prompt", isChosen: true };
  assert.equal(sentence({ ...NOTHING, layer: 3, head: 7 }, token), "Selected: token 5 ‘·cat’, of the prompt · layer 3, head 7.");
  assert.equal(sentence(NOTHING, { ...token, second: "token 1 ‘The’" }), "Selected: token 5 ‘·cat’, of the prompt and token 1 ‘The’.");
  assert.match(sentence({ ...NOTHING, layer: 3 }, { ...token, isChosen: false }), /^Selected: layer 3\. Click a token .*: the end of the prompt, token 5 ‘·cat’\.$/);
});
