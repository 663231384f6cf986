"use strict";

const test = require("node:test");
const assert = require("node:assert");
const facts = require("../../dashapp/assets/js/70-facts.js");
const fragments = require("../../dashapp/assets/js/75-fragments.js");

test("a shape has the number of tokens on screen, and n before there are any", () => {
  assert.equal(facts.nTokens(null), "n");
  assert.equal(facts.nTokens({ tokens: [] }), "n");
  assert.equal(facts.nTokens({ tokens: ["a", "b"] }), "2");
  assert.equal(facts.nTokens({ tokens: Array(1024).fill("a") }), "1,024");
  assert.deepEqual(facts.tokens({ tokens: ["a"] }, [{}, {}]), ["1", "1"]);
});

test("the model on screen is told when it becomes another", () => {
  global.window = { dash_clientside: { no_update: "same" } };
  assert.equal(facts.model({ model: { name: "gpt2" } }, "demo"), "gpt2");
  assert.equal(facts.model({ model: { name: "gpt2" } }, "gpt2"), "same");
  assert.equal(facts.model({ phase: "running" }, "demo"), "same");
  assert.equal(facts.model(null, "demo"), "same");
  delete global.window;
});

test("only a panel's heading is followed", () => {
  assert.equal(fragments.headingOf("#title-head-grid-a"), "title-head-grid-a");
  assert.equal(fragments.headingOf("#page"), null);
  assert.equal(fragments.headingOf(""), null);
  assert.equal(fragments.headingOf("#title-x<img>"), null);
});
