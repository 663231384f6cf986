"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const weights = require("../../dashapp/assets/js/15-weights.js");

const at = (pos, more = {}) => ({ key: "k", pos, layer: null, head: null, direction: "looks_at", ...more });
const coded = (...values) => Buffer.from(Float32Array.from(values).buffer).toString("base64");
const answer = (view, ...values) => ({ ...view, weights: coded(...values) });

test("an answer is decoded, kept, and found again without a question", () => {
  const desk = weights.newDesk();
  assert.deepEqual(weights.want(desk, at(1), 0), at(1));
  assert.equal(weights.found(desk), null);
  assert.equal(weights.arrived(desk, answer(at(1), 0.25, 0.75), 5), null);
  assert.deepEqual([...weights.found(desk).weights], [0.25, 0.75]);
  assert.deepEqual(weights.want(desk, at(0), 6), at(0));
  assert.equal(weights.want(desk, at(1), 7), null);
  assert.deepEqual([...weights.found(desk).weights], [0.25, 0.75]);
});

test("while a question is on its way the others wait, and the newest of them comes next", () => {
  const desk = weights.newDesk();
  weights.want(desk, at(1), 0);
  assert.equal(weights.want(desk, at(2), 10), null);
  assert.equal(weights.want(desk, at(3), 20), null);
  assert.deepEqual(weights.arrived(desk, answer(at(1), 1), 30), at(3));
  assert.equal(weights.found(desk), null, "the answer that came is not the one that is wanted");
  assert.equal(weights.arrived(desk, answer(at(3), 0, 0, 0, 1), 40), null);
  assert.deepEqual([...weights.found(desk).weights], [0, 0, 0, 1]);
});

test("a question that nobody answers is given up after a while", () => {
  const desk = weights.newDesk();
  weights.want(desk, at(1), 0);
  assert.equal(weights.want(desk, at(2), weights.PATIENCE - 1), null);
  assert.deepEqual(weights.want(desk, at(2), weights.PATIENCE), at(2));
});

test("a question that fails is not asked again by itself, and makes room for the next", () => {
  const desk = weights.newDesk();
  weights.want(desk, at(1), 0);
  assert.equal(weights.failed(desk, at(1), 1), null);
  assert.deepEqual(weights.want(desk, at(1), 2), at(1));
  assert.equal(weights.want(desk, at(2), 3), null);
  assert.deepEqual(weights.failed(desk, at(1), 4), at(2));
});

test("an answer that comes after nothing is wanted any more is shown to nobody", () => {
  const desk = weights.newDesk();
  weights.want(desk, at(1), 0);
  weights.want(desk, null, 1);
  assert.equal(weights.arrived(desk, answer(at(1), 1, 0), 2), null);
  assert.equal(weights.found(desk), null);
});

test("each of trace, token, head and direction has weights of its own", () => {
  const desk = weights.newDesk();
  weights.want(desk, at(1), 0);
  weights.arrived(desk, answer(at(1), 1), 1);
  for (const other of [{ key: "l" }, { pos: 2 }, { layer: 0, head: 0 }, { direction: "looked_at_by" }]) {
    desk.sent = null;
    assert.ok(weights.want(desk, at(1, other), 2), JSON.stringify(other));
  }
});

test("a fault is not asked about again and again, until faults are forgotten", () => {
  const desk = weights.newDesk();
  weights.want(desk, at(1), 0);
  assert.equal(weights.arrived(desk, { ...at(1), fault: "It is gone." }, 1), null);
  assert.equal(weights.found(desk).fault, "It is gone.");
  assert.equal(weights.want(desk, at(1), 2), null);
  weights.forgetFaults(desk);
  assert.deepEqual(weights.want(desk, at(1), 3), at(1));
});

test("only so many views are kept, the oldest going first", () => {
  const desk = weights.newDesk();
  for (let pos = 0; pos <= weights.KEPT; pos += 1) weights.arrived(desk, answer(at(pos), 1), 0);
  assert.equal(desk.known.size, weights.KEPT);
  assert.ok(weights.want(desk, at(0), 0));
  assert.equal(weights.want(desk, at(weights.KEPT), weights.PATIENCE), null);
});

test("a bar is as high as the square root of its weight, from 0 to 1", () => {
  assert.deepEqual([0, 0.25, 1, 1.0000001, -1e-9].map(weights.share), [0, 0.5, 1, 1, 0]);
});

test("weights have three significant digits and a true minus", () => {
  assert.deepEqual([0, 1, 0.62, 0.12345, 0.000431, 2.14e-7].map(weights.number), ["0", "1", "0.62", "0.123", "0.000431", "2.1e−7"]);
});

const TEXTS = ["‘The’", "‘·cat’", "‘·sat’"];

test("a weight is said as the query that looks at the key", () => {
  assert.equal(weights.sentence(at(2), 0.62, 1, TEXTS), "Mean over all heads: ‘·sat’ looks at ‘·cat’, 0.62");
  const back = at(1, { direction: "looked_at_by", layer: 3, head: 5 });
  assert.equal(weights.sentence(back, 0.62, 2, TEXTS), "Layer 3, head 5: ‘·sat’ looks at ‘·cat’, 0.62");
  assert.equal(weights.sentence(at(2), 0.1, 2, TEXTS), "Mean over all heads: ‘·sat’ looks at itself, 0.1");
});

test("the legend says the token, the head, the scale and the largest weight", () => {
  assert.equal(
    weights.legend(at(2), Float32Array.of(0.5, 0.25, 0.25), TEXTS),
    "Bars: what token 2 ‘·sat’ looks at, mean over all heads. Square-root scale, full at 1. Largest: 0.5, token 0 ‘The’."
  );
  const back = at(1, { direction: "looked_at_by", layer: 3, head: 5 });
  assert.equal(
    weights.legend(back, Float32Array.of(0, 0.25, 0.5), TEXTS),
    "Bars: what looks at token 1 ‘·cat’, layer 3, head 5. Square-root scale, full at 1. Largest: 0.5, token 2 ‘·sat’."
  );
});

/** As much of a strip as painting touches. */
function stripOf(n) {
  const token = () => ({
    dataset: {},
    style: {
      set: {},
      setProperty(name, value) { this.set[name] = value; },
      removeProperty(name) { delete this.set[name]; },
    },
    removeAttribute(name) { this[name] = ""; },
  });
  const strip = { childNodes: Array.from({ length: n }, token), attributes: new Set() };
  strip.toggleAttribute = (name, isOn) => strip.attributes[isOn ? "add" : "delete"](name);
  return strip;
}

const painted = (strip) => strip.childNodes.map((token) => token.style.set["--weight"]);

test("tokens that cannot be looked at have neither bar nor sentence", () => {
  const strip = stripOf(3);
  weights.paint(strip, { view: at(1), weights: Float32Array.of(0.25, 0.75, 0) }, TEXTS);
  assert.deepEqual(painted(strip), ["0.500", "0.866", undefined]);
  assert.deepEqual(strip.childNodes.map((token) => Boolean(token.dataset.attention)), [true, true, false]);
  weights.paint(strip, { view: at(1, { direction: "looked_at_by" }), weights: Float32Array.of(0, 0.75, 0.25) }, TEXTS);
  assert.deepEqual(painted(strip), [undefined, "0.866", "0.500"]);
  assert.ok(strip.attributes.has("data-weighed"));
});

test("a token's weight is said as long as it is shown, and what a token is stays", () => {
  const strip = stripOf(1);
  strip.childNodes[0].dataset.about = "2 bytes that are part of a character";
  weights.paint(strip, { view: at(0), weights: Float32Array.of(1) }, ["‘<F0 9F>’"]);
  assert.deepEqual(strip.childNodes[0].dataset, {
    about: "2 bytes that are part of a character",
    attention: "Mean over all heads: ‘<F0 9F>’ looks at itself, 1",
  });
  weights.paint(strip, null, []);
  assert.deepEqual(strip.childNodes[0].dataset, { about: "2 bytes that are part of a character" });
});

test("weights of another text are not painted, and null takes all away", () => {
  const strip = stripOf(3);
  weights.paint(strip, { view: at(1), weights: Float32Array.of(0.25, 0.75, 0) }, TEXTS);
  weights.paint(strip, { view: at(1), weights: Float32Array.of(0.25, 0.75) }, TEXTS);
  assert.deepEqual(painted(strip), [undefined, undefined, undefined]);
  weights.paint(strip, { view: at(1), weights: Float32Array.of(0.25, 0.75, 0) }, TEXTS);
  weights.paint(strip, null, TEXTS);
  assert.deepEqual(painted(strip), [undefined, undefined, undefined]);
  assert.equal(strip.attributes.size, 0);
});
