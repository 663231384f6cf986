"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const measures = require("../../dashapp/assets/js/16-measures.js");
const choices = require("../../dashapp/assets/js/52-choices.js");

const LN2 = Math.LN2;
/** Three tokens of a vocabulary of 16: 4 bits at most. The second has half of the probability, the third 1/8. */
const FOUND = {
  d_vocab: 16,
  ids: [15, 3, 1000],
  bytes: ["3C", "20 61", "62"],
  logprobs: Float32Array.of(NaN, -LN2, -3 * LN2),
  ranks: [-1, 0, 2],
  entropies: Float32Array.of(NaN, 2 * LN2, 4 * LN2),
  others: [{ ids: [3, 4], probs: [0.5, 0.25] }, { ids: [4, 5], probs: [0.5, 0.25] }],
  words: { 3: " a", 4: "<b>", 5: "\n" },
};

const rounded = (values) => [...values].map((value) => Number(value.toFixed(4)));

test("a share is a part of a scale that is the same for all prompts, and the first token has none", () => {
  for (const kind of Object.keys(measures.KINDS)) assert.ok(Number.isNaN(measures.shares(FOUND, kind)[0]), kind);
  assert.deepEqual(rounded(measures.shares(FOUND, "probability").slice(1)), [0.5, 0.125]);
  assert.deepEqual(rounded(measures.shares(FOUND, "surprisal").slice(1)), [0.25, 0.75]); // of 4 bits
  assert.deepEqual(rounded(measures.shares(FOUND, "entropy").slice(1)), [0.5, 1]);
  assert.deepEqual(rounded(measures.shares(FOUND, "rank").slice(1)), [0, Number((Math.log(3) / Math.log(16)).toFixed(4))]);
});

test("what is beyond the scale is full", () => {
  const beyond = { ...FOUND, logprobs: Float32Array.of(NaN, -100, 1e-7) };
  assert.deepEqual([...measures.shares(beyond, "surprisal").slice(1)], [1, 0]);
});

test("the legend names the measure and both ends in the unit that is wanted", () => {
  assert.deepEqual(measures.legend(FOUND, "surprisal", "bits"), { what: "Surprisal of each token", ends: ["0", "4 bits or more"] });
  assert.deepEqual(measures.legend(FOUND, "entropy", "nats").ends, ["0", "2.77 nats"]);
  assert.deepEqual(measures.legend(FOUND, "probability", "bits").ends, ["0%", "100%"]);
  assert.deepEqual(measures.legend(FOUND, "rank", "bits").ends, ["the favourite", "15 were likelier, logarithmic"]);
});

test("a card says what a token is and how it was predicted", () => {
  const { head, prediction, others } = measures.card(FOUND, 2, "b", "bits");
  assert.equal(head, "‘b’ token 2 · id 1,000 · byte 62");
  assert.deepEqual(prediction, [
    "Probability 12.5%, 2 were likelier (rank 2)",
    "Surprisal 3 bits; entropy in its place 4 bits",
  ]);
  assert.deepEqual(others, [{ text: "‘<b>’", prob: "50%", isIt: false }, { text: "‘↵’", prob: "25%", isIt: false }]);
});

test("a card marks the token among the likeliest, and tells nats where they are wanted", () => {
  const { head, prediction, others } = measures.card(FOUND, 1, " a", "nats");
  assert.equal(head, "‘·a’ token 1 · id 3 · bytes 20 61");
  assert.deepEqual(prediction, [
    "Probability 50%, the favourite (rank 0)",
    "Surprisal 0.693 nats; entropy in its place 1.39 nats",
  ]);
  assert.deepEqual(others.map((other) => other.isIt), [true, false]);
});

test("the first token has no prediction", () => {
  const { prediction, others } = measures.card(FOUND, 0, "<", "bits");
  assert.match(prediction[0], /nothing stands before it/);
  assert.deepEqual(others, []);
});

test("numbers have three digits and a true minus", () => {
  assert.equal(measures.percent(1.234e-7), "less than 0.001%");
  assert.equal(measures.percent(1e-5), "0.001%");
  assert.equal(measures.percent(0), "0%");
  assert.equal(measures.percent(0.99996), "more than 99.99%");
  assert.equal(measures.percent(0.99981), "99.98%");
  assert.equal(measures.percent(1), "100%");
  assert.equal(measures.information(2e-4, "nats"), "less than 0.001 nats");
  assert.equal(measures.information(0, "bits"), "0 bits");
  assert.equal(measures.information(Math.LN2, "bits"), "1 bit");
  assert.equal(measures.information(1, "nats"), "1 nat");
  assert.equal(measures.percent(0.98765), "98.8%");
  assert.equal(measures.digits(0.00001234), "1.2e−5");
  assert.equal(measures.digits(0), "0");
});

test("what the server tells is decoded", () => {
  const coded = (...values) => Buffer.from(Float32Array.from(values).buffer).toString("base64");
  const found = measures.decoded({ ids: [1, 2], logprobs: coded(NaN, -1), entropies: coded(NaN, 2) });
  assert.deepEqual([found.logprobs[1], found.entropies[1], found.ids], [-1, 2, [1, 2]]);
  assert.ok(Number.isNaN(found.logprobs[0]));
});

test("a link's choice goes before what a browser kept, and what is unknown counts for nothing", () => {
  const known = ["bits", "nats"];
  assert.equal(choices.atStart("?app.units=nats", "app.units", "bits", known), "nats");
  assert.equal(choices.atStart("?app.units=dits", "app.units", "nats", known), "nats");
  assert.equal(choices.atStart("", "app.units", null, known), "bits");
  assert.equal(choices.atStart("", "app.units", "x", known), "bits");
});
