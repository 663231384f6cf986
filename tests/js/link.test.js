"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const link = require("../../dashapp/assets/js/20-link.js");

const request = { prompt: "A cat & a #hat? +1%", max_new_tokens: 40, temperature: 0.8, top_k: 0, top_p: 0.95, seed: 3, bos: true };
const other = { ...request, prompt: "A dog", seed: 4, bos: false, model: "gpt2", weights: "0123456789ab" };
const write = (a, selection = null, knobs = {}) => link.write({ a, b: null }, selection, knobs);

test("what is written is read back", () => {
  const selection = { slot: "b", pos: 7, key: 2, layer: 0, head: 11, neuron: 3071, target: 50256, against: 0 };
  const knobs = { "head-pattern.shade": "root", "token-attention.direction": "looked_at_by" };
  assert.deepEqual(link.read(link.write({ a: request, b: other }, selection, knobs)), {
    ...{ recipe: null, a: request, b: other, selection, knobs, pins: "" },
  });
});

test("a branch and a text that does not end at its end are written and read back", () => {
  const branch = { ...request, then: [50256, 0, 257], stop_at_end: false };
  assert.deepEqual(link.read(link.write({ a: request, b: branch }, null, {})).b, branch);
  for (const wrong of ["", "x", "1..2", "1,2", "-1", "123456"]) {
    assert.ok(!("then" in link.read(`?prompt=a&then=${wrong}`).a), wrong);
  }
});

test("any text survives the address", () => {
  for (const prompt of ["", " ", "🙂\n\t", "<script>", "مرحبا", "a\u0000b", "%41&b=c"]) {
    assert.equal(link.read(write({ ...request, prompt })).a.prompt, prompt);
  }
});

test("edits of an alignment are written with two prompts and read back, and nothing else is", () => {
  const query = link.write({ a: request, b: other }, null, {}, undefined, "3-4.a5.b7");
  assert.equal(link.read(query).pins, "3-4.a5.b7");
  assert.ok(!link.write({ a: request, b: null }, null, {}, undefined, "3-4").includes("align"));
  for (const wrong of ["", "3-", "c3", "3-4.", "-3-4", "1234567-1", "a3,b4", "<b>"]) {
    assert.equal(link.read(`?prompt=a&b.prompt=b&align=${encodeURIComponent(wrong)}`).pins, "", wrong);
  }
});

test("a selection that is none is left out", () => {
  assert.equal(link.read(write(request, { slot: "a", pos: null })).selection.pos, null);
  assert.ok(!write({ ...request, seed: NaN }).includes("NaN"));
  assert.ok(!write(request, { slot: "a", pos: 0 }).includes("slot="));
});

test("a head can be selected where no prompt is named", () => {
  const { a, b, selection } = link.read("?layer=3&head=5");
  assert.deepEqual([a, b, selection.layer, selection.head], [null, null, 3, 5]);
});

test("an address without a prompt asks for nothing", () => {
  assert.equal(link.read("").a, null);
  assert.equal(link.write({ a: null, b: null }, { slot: "a", pos: 3 }, {}), "");
});

test("nonsense in an address is passed over", () => {
  const { a, selection, knobs } = link.read("?prompt=Hi&t=warm&k=&seed=1e999&p=0.5&pos=-3&head=1.5&b.t=1&slot=c");
  assert.deepEqual(a, { prompt: "Hi", bos: true, top_p: 0.5 });
  assert.deepEqual([selection.pos, selection.head, selection.slot], [null, null, "a"]);
  assert.deepEqual(knobs, {});
});

const long = { ...request, prompt: "é".repeat(link.LONGEST) };
const KEY = "0123456789abcdef0123456789abcdef";

test("an address that would be too long is left out whole rather than cut", () => {
  assert.equal(write(long), "");
});

test("prompts that are too long for an address go by their key, and the rest stays", () => {
  const kept = new Map();
  const selection = { slot: "b", pos: 7, key: 2, layer: 0, head: 11, neuron: null, target: null, against: null };
  const knobs = { "head-pattern.shade": "root" };
  const address = link.write({ a: long, b: other }, selection, knobs, (text) => kept.set(KEY, text) && KEY, "3-4.a5");
  const seen = "&b.weights=0123456789ab&slot=b&pos=7&key=2&layer=0&head=11&align=3-4.a5&head-pattern.shade=root";
  assert.equal(address, `?r=${KEY}${seen}`);
  const found = { recipe: null, a: long, b: other, selection, knobs, pins: "3-4.a5" };
  assert.deepEqual(link.read(address, (key) => kept.get(key)), found);
});

test("neither a selection nor the weights that a run names change the key", () => {
  const texts = new Set();
  link.write({ a: { ...long, weights: "0123" }, b: null }, null, {}, (text) => texts.add(text) && KEY);
  for (const pos of [null, 3]) link.write({ a: long, b: null }, { slot: "a", pos }, {}, (text) => texts.add(text) && KEY);
  assert.equal(texts.size, 1);
});

test("a short address asks for no key", () => {
  link.write({ a: request, b: other }, null, {}, () => assert.fail("asked"));
  link.read(write(request), () => assert.fail("asked"));
});

test("a key that is not known, or not yet, names no prompt", () => {
  for (const text of [null, undefined]) {
    const found = link.read(`?r=${KEY}&pos=3&prompt=Hi`, () => text);
    assert.deepEqual([found.recipe, found.a, found.b, found.selection.pos], [KEY, null, null, 3]);
  }
});

test("a link names the file that a run came by, and no other text for one", () => {
  const request = { prompt: "a", bos: true, model: "demo", file: "0".repeat(64) };
  const query = link.write({ a: request, b: null }, null, {});
  assert.equal(link.read(query).a.file, request.file);
  assert.equal(link.read("?prompt=a&file=../x").a.file, undefined);
  assert.equal(link.read(`?prompt=a&b.prompt=b&b.file=${request.file}`).b.file, request.file);
});
