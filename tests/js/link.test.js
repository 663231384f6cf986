"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const link = require("../../dashapp/assets/js/20-link.js");

const request = { prompt: "A cat & a #hat? +1%", max_new_tokens: 40, temperature: 0.8, top_k: 0, top_p: 0.95, seed: 3, bos: true };

test("what is written is read back", () => {
  const { fields, pos } = link.read(link.write(request, { pos: 7 }));
  assert.deepEqual(fields, request);
  assert.equal(pos, 7);
});

test("any text survives the address", () => {
  for (const prompt of ["", " ", "🙂\n\t", "<script>", "مرحبا", "a\u0000b", "%41&b=c"]) {
    assert.equal(link.read(link.write({ ...request, prompt }, null)).fields.prompt, prompt);
  }
});

test("a selection that is none is left out", () => {
  assert.equal(link.read(link.write(request, { pos: null })).pos, null);
  assert.ok(!link.write({ ...request, seed: NaN }, null).includes("NaN"));
  assert.ok(!link.write(request, null).includes("pos="));
});

test("an address without a prompt asks for nothing", () => {
  assert.equal(link.read(""), null);
  assert.equal(link.read("?pos=3"), null);
});

test("nonsense in an address is passed over", () => {
  const { fields, pos } = link.read("?prompt=Hi&t=warm&k=&seed=1e999&p=0.5&pos=-3");
  assert.deepEqual(fields, { prompt: "Hi", bos: true, top_p: 0.5 });
  assert.equal(pos, null);
});

test("an address that would be too long is left out whole rather than cut", () => {
  assert.equal(link.write({ ...request, prompt: "x".repeat(link.LONGEST) }, null), "");
});

test("the selected head is read back", () => {
  const { layer, head } = link.read(link.write(request, { pos: null, layer: 0, head: 11 }));
  assert.deepEqual([layer, head], [0, 11]);
  assert.equal(link.read(link.write(request, { pos: 1, layer: null, head: null })).head, null);
});
