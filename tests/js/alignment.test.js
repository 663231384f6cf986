"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const editor = require("../../dashapp/assets/js/62-alignment.js");
const tokens = require("../../dashapp/assets/js/10-tokens.js");

// Token 0 is the same, 1 of a is alone, 2 of a replaces 1 of b, 2 of b is alone.
const alignment = { b_of_a: [0, -1, 1], a_of_b: [0, 2, -1], is_same: [true, false, false], pins: "" };
const sames = (n) => Array.from({ length: n }, (_, i) => i);
const plain = (n) => ({ b_of_a: sames(n), a_of_b: sames(n), is_same: sames(n).map(() => true) });

test("an edit takes the place of what was decided of its tokens before", () => {
  assert.equal(editor.paired("", 3, 4), "3-4");
  assert.equal(editor.paired("3-4.a5.b7", 5, 7), "3-4.5-7");
  assert.equal(editor.paired("3-4.6-8", 3, 8), "3-8");
  assert.equal(editor.alone("3-4", "b", 4), "b4");
  assert.equal(editor.alone("a5", "a", 5), "a5");
  assert.equal(editor.alone("", "a", 0), "a0");
});

test("edits are written in the server's order: pairs, then tokens alone of a, then of b, by number", () => {
  assert.equal(editor.alone(editor.paired(editor.alone("b2", "a", 11), 10, 10), "a", 9), "10-10.a9.a11.b2");
  assert.equal(editor.paired("10-12", 2, 3), "2-3.10-12");
});

test("one edit is dropped by either of its tokens, and the others stay", () => {
  assert.equal(editor.dropped("3-4.a5.b7", "a", 3), "a5.b7");
  assert.equal(editor.dropped("3-4.a5.b7", "b", 4), "a5.b7");
  assert.equal(editor.dropped("3-4.a5.b7", "b", 3), "3-4.a5.b7");
  assert.equal(editor.dropped("3-4.a5.b7", "a", 7), "3-4.a5.b7");
  assert.equal(editor.dropped("a5", "a", 5), "");
  assert.deepEqual(["a", "b"].map((slot) => editor.isEdited("13-4", slot, 13)), [true, false]);
});

test("prompts in each other's place take their edits along", () => {
  assert.equal(editor.turned("3-4.a5.b7"), "4-3.a7.b5");
  assert.equal(editor.turned(editor.turned("2-9.3-10.b1")), "2-9.3-10.b1");
  assert.equal(editor.turned(""), "");
});

test("every token has one column, in the order of both prompts", () => {
  assert.deepEqual(editor.columns(alignment), [
    { a: 0, b: 0, kind: "same" },
    { a: 1, b: null, kind: "alone" },
    { a: 2, b: 1, kind: "replaced" },
    { a: null, b: 2, kind: "alone" },
  ]);
  assert.deepEqual(editor.columns({ b_of_a: [], a_of_b: [], is_same: [] }), []);
});

test("long runs of the same tokens are one cell, until somebody edits or opens them", () => {
  const folded = (n, pins = "", opened = []) => editor.folded(editor.columns(plain(n)), pins, new Set(opened));
  assert.equal(folded(5).length, 5);
  assert.deepEqual(folded(600).map(({ folds }) => folds.length), [600]);
  assert.deepEqual(folded(20, "10-10").map(({ folds }) => (folds ? folds.length : 1)), [10, 1, 9]);
  assert.equal(folded(20, "", sames(20)).length, 20);
});

test("a cell says its prompt, its token, and what stands for it", () => {
  const before = global.window;
  global.window = { dash_clientside: { tokens } };
  const texts = { a: ["x", " y", " z"], b: ["x", " w", " v"] };
  const said = editor.columns(alignment).map((column) => editor.spoken(column, column.a === null ? "b" : "a", texts, column.kind === "replaced"));
  global.window = before;
  assert.deepEqual(said, [
    "a, token 0: x; the same as token 0 of b",
    "a, token 1: space y; no counterpart in b",
    "a, token 2: space z; stands for token 1: space w of b, edited by hand",
    "b, token 2: space v; no counterpart in a",
  ]);
});
