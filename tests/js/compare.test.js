"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const compare = require("../../dashapp/assets/js/60-compare.js");

// Of three tokens each: the first stand alone, the second ones replace each other, the third are the same.
const alignment = { a: "ka", b: "kb", b_of_a: [-1, 1, 2], a_of_b: [-1, 1, 2], is_same: [false, false, true] };

test("a counterpart is a position, none, or not known", () => {
  assert.equal(compare.counterpart(alignment, "a", 1), 1);
  assert.equal(compare.counterpart(alignment, "b", 0), null);
  assert.equal(compare.counterpart(null, "a", 1), undefined);
  assert.equal(compare.counterpart(alignment, "a", 3), undefined);
});

test("a chosen token stands in its own slot where it is, and in the other where its counterpart is", () => {
  const chosen = { slot: "a", pos: 2 };
  assert.equal(compare.posIn(chosen, "a", alignment, "ka"), 2);
  assert.equal(compare.posIn(chosen, "b", alignment, "kb"), 2);
  assert.equal(compare.posIn({ slot: "b", pos: 0 }, "a", alignment, "ka"), null);
});

test("two traces are aligned by what is decided of them, and anew when that changes alone", () => {
  const before = global.window;
  const same = Symbol("no update");
  let pinned = "2-2";
  global.window = { dash_clientside: { no_update: same, shell: { pinned: () => pinned } } };
  const [a, b] = ["ka", "kb"].map((trace) => ({ phase: "done", trace }));
  try {
    const first = compare.pair(a, b, null, null, undefined);
    assert.deepEqual(first, { a: "ka", b: "kb", pins: "2-2", is_known: false });
    assert.equal(compare.pair(a, b, null, alignment, first), same); // that one is known is no reason to ask
    pinned = "";
    assert.deepEqual(compare.pair(a, b, 1, alignment, first), { a: "ka", b: "kb", pins: "", is_known: true });
    assert.equal(compare.pair(a, { phase: "running" }, 1, alignment, first), null);
  } finally {
    global.window = before;
  }
});

test("what is decided holds for two runs once they are aligned by it", () => {
  const before = global.window;
  global.window = { dash_clientside: { shell: { pinned: () => "2-2" } } };
  const [a, b, other] = ["ka", "kb", "kc"].map((trace) => ({ phase: "done", trace }));
  try {
    assert.equal(compare.pinsOf({ ...alignment, pins: "1-1" }, a, b), "1-1");
    assert.equal(compare.pinsOf({ ...alignment, pins: "1-1" }, a, other), null);
    global.window.dash_clientside.shell.pinned = () => "";
    assert.equal(compare.pinsOf(null, a, b), "");
  } finally {
    global.window = before;
  }
});

test("an alignment of another trace tells nothing", () => {
  assert.equal(compare.posIn({ slot: "a", pos: 2 }, "b", alignment, "another"), undefined);
  assert.equal(compare.posIn({ slot: "a", pos: null }, "b", alignment, "kb"), undefined);
});

test("a panel says why it cannot show what is selected", () => {
  const selection = { slot: "a", pos: 0, layer: 11, head: 3 };
  const shown = { pos: null, layer: null, head: null };
  assert.match(compare.absence("b", shown, selection, ["pos"]), /token of a has no counterpart in b/);
  assert.equal(compare.absence("b", { ...shown, pos: 2 }, selection, ["pos"]), "");
  assert.equal(compare.absence("b", shown, selection, []), "");
  assert.match(compare.absence("b", { ...shown, pos: 2 }, selection, ["pos", "layer"]), /model of b has no layer 11/);
});

test("a panel of pairs says what it waits for", () => {
  const reads = ["n_prompt"];
  assert.match(compare.pairAbsence(null, null, null, reads), /Needs a second prompt. Type one/);
  assert.match(compare.pairAbsence({ phase: "failed" }, null, null, reads), /run of b did not finish/);
  for (const phase of ["asking", "queued", "running"]) {
    assert.match(compare.pairAbsence({ phase }, null, null, reads), /Waiting for the second prompt/);
  }
});

test("each token of both strips is the same, replaced, or alone", () => {
  assert.deepEqual(compare.kinds(alignment, "a"), ["unaligned", "replaced", "same"]);
  assert.deepEqual(compare.kinds(alignment, "b"), ["unaligned", "replaced", "same"]);
});

test("the bundled example differs in one word, and other prompts have none", () => {
  assert.equal(compare.exampleOf("Once upon a time, there was a little"), "Once upon a time, there was a big");
  assert.equal(compare.exampleOf("Once upon a time"), null);
});

test("an id is written with its keys in alphabetical order, as Dash does", () => {
  const id = { type: "knob", panel: "gelu", slot: "a", name: "scale" };
  assert.equal(compare.idText(id), '{"name":"scale","panel":"gelu","slot":"a","type":"knob"}');
});

test("of two knobs that mean one thing, the other follows the one that was set", () => {
  const before = global.window;
  const same = Symbol("no update");
  const of = (triggered) => ({ dash_clientside: { no_update: same, callback_context: { triggered } } });
  try {
    global.window = of([{ prop_id: "x.value", value: "v" }]);
    assert.deepEqual(compare.same("v", "z"), [same, "v"]);
    assert.deepEqual(compare.same("v", "v"), [same, same]);
    global.window = of([]);
    assert.deepEqual(compare.same("v", "z"), [same, same]);
  } finally {
    global.window = before;
  }
});

test("a panel behind another is opened once, in the list of its page", () => {
  const same = Symbol("same");
  const pair = { querySelector: () => null };
  const before = { document: global.document, window: global.window, MutationObserver: global.MutationObserver };
  global.document = { getElementById: (id) => (assert.equal(id, '{"panel":"neuron","type":"pair"}'), pair) };
  global.MutationObserver = class { observe() {} };
  const triggered = [{ prop_id: '{"opens":"neuron","panel":"changed-neurons","type":"behind"}.n_clicks', value: 1 }];
  global.window = { dash_clientside: { no_update: same, callback_context: { triggered } } };
  const options = [[{ value: "next-tokens" }], [{ value: "gelu" }, { value: "neuron" }]];
  assert.deepEqual(compare.openBehind(null, [["next-tokens"], []], options), [same, ["neuron"]]);
  assert.deepEqual(compare.openBehind(null, [[], ["neuron"]], options), [same, same]);
  triggered[0].value = null; // the buttons have only been drawn
  assert.deepEqual(compare.openBehind(null, [[], []], options), [same, same]);
  Object.assign(global, before);
});
