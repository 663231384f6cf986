"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const tokens = require("../../dashapp/assets/js/10-tokens.js");

const joined = (text) => tokens.pieces(text).map((piece) => piece.text).join("");

test("pieces of a token join to the token", () => {
  for (const text of [" cat", "\n\n\t x", "<F0 9F>", "🙂", "a\u200bb", "<b>&", "", "<|endoftext|>"]) {
    assert.equal(joined(text), text);
  }
});

test("every space, newline and tab is a piece of its own, so that each can be seen", () => {
  assert.deepEqual(
    tokens.pieces(" \n\tcat").map((piece) => piece.kind),
    ["space", "newline", "tab", "text"]
  );
});

test("characters that hide or turn text are told apart", () => {
  for (const text of ["\u202e", "\u200b", "\u0000", "\u001b", "\ufeff"]) {
    assert.deepEqual(tokens.pieces(text), [{ kind: "unseen", text }]);
  }
});

test("pieces of a character are told from text", () => {
  assert.deepEqual(["<D8>", "<F0 9F>", "<b>", " <D8>", "D8", ""].map(tokens.isBytes), [true, true, false, false, false, false]);
});

test("pieces of a character are said in words, and what is whole in front of them", () => {
  assert.equal(tokens.bytesInWords("<AD>"), "1 byte that is part of a character");
  assert.equal(tokens.bytesInWords("<20 F0 9F 98>"), "20 is a space; 3 bytes that are part of a character");
  assert.equal(tokens.bytesInWords("<82 21>"), "1 byte that is part of a character; 21 is ‘!’");
  assert.equal(tokens.bytesInWords(" cat"), "");
  assert.equal(
    tokens.spoken("<20 F0 9F>", 4, true),
    "token 4: <20 F0 9F>, 20 is a space; 2 bytes that are part of a character, generated"
  );
});

test("the spaces between bytes are not marked as spaces of the text", () => {
  assert.deepEqual(tokens.pieces("<20 F0>"), [{ kind: "text", text: "<20 F0>" }]);
  assert.equal(tokens.quoted("<20 F0>"), "‘<20 F0>’");
});

test("a strip is scrolled only for a token that it does not show, which comes to stand in the middle", () => {
  assert.equal(tokens.scrolledTo(50, 100, 0, 20), 50);
  assert.equal(tokens.scrolledTo(50, 100, 80, 100), 50);
  assert.equal(tokens.scrolledTo(50, 100, 90, 110), 100);
  assert.equal(tokens.scrolledTo(50, 100, -40, -20), 0);
  assert.equal(tokens.scrolledTo(500, 100, -40, -20), 420);
});

test("a token is read out with its whitespace in words and its origin", () => {
  assert.equal(tokens.spoken(" cat", 5, false), "token 5: space cat");
  assert.equal(tokens.spoken("\n", 6, true), "token 6: new line, generated");
  assert.equal(tokens.spoken("\u202e", 0, false), "token 0: U+202E");
});

test("a quoted token shows its space", () => {
  assert.equal(tokens.quoted(" cat"), "‘·cat’");
});

test("arrows, Home and End lead to tokens and stop at the ends", () => {
  assert.equal(tokens.moved("ArrowRight", 3, 5), 4);
  assert.equal(tokens.moved("ArrowRight", 4, 5), 4);
  assert.equal(tokens.moved("ArrowLeft", 0, 5), 0);
  assert.equal(tokens.moved("Home", 3, 5), 0);
  assert.equal(tokens.moved("End", 3, 5), 4);
  assert.equal(tokens.moved("x", 3, 5), null);
  assert.equal(tokens.moved("End", 0, 0), null);
});

test("up and down lead to the nearest token of the line above or below, and stay where there is none", () => {
  const box = (left, right, line) => ({ left, right, top: 20 * line, bottom: 20 * line + 18 });
  const boxes = [box(0, 30, 0), box(30, 90, 0), box(90, 100, 0), box(0, 50, 1), box(50, 55, 1), box(0, 200, 2)];
  const to = (key, pos) => tokens.movedLine(key, pos, boxes);
  assert.deepEqual([to("ArrowDown", 0), to("ArrowDown", 1), to("ArrowDown", 2)], [3, 4, 4]);
  assert.deepEqual([to("ArrowDown", 3), to("ArrowUp", 5), to("ArrowUp", 4)], [5, 4, 1]);
  assert.deepEqual([to("ArrowUp", 1), to("ArrowDown", 5)], [1, 5]);
  assert.deepEqual([to("ArrowRight", 1), tokens.movedLine("ArrowDown", 0, [])], [null, null]);
});

test("growing text leaves the tokens that stand alone", () => {
  assert.equal(tokens.commonStart(["a", "b"], ["a", "b", "c"]), 2);
  assert.equal(tokens.commonStart(["a", "x"], ["a", "b"]), 1);
  assert.equal(tokens.commonStart(["a", "b", "c"], ["a"]), 1);
});
