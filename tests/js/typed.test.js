"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const typed = require("../../dashapp/assets/js/12-typed.js");

test("how many tokens there are, and what room they leave", () => {
  assert.equal(typed.summary({ n: 9, n_ctx: 1024 }, 40), "9 tokens, room for 1,015 more.");
  assert.equal(typed.summary({ n: 1, n_ctx: 1024 }, 0), "1 token, room for 1,023 more.");
  assert.equal(typed.summary({ n: 1024, n_ctx: 1024 }, 40), "1,024 tokens, no room for another.");
});

test("it is said when not all that is to be drawn will fit", () => {
  assert.equal(typed.summary({ n: 1000, n_ctx: 1024 }, 40), "1,000 tokens, room for 24 more of the 40 that are to be drawn.");
});

test("what is too long is said with how much", () => {
  assert.equal(typed.summary({ n: 1100, n_ctx: 1024 }, 40), "1,100 tokens, 76 more than the 1,024 that the model reads at once.");
});

test("a space at the end is warned of, and nothing else", () => {
  assert.match(typed.warning("The cat "), /ends with a space.*remove it/);
  for (const fine of ["", "The cat", " The", "The cat\n"]) assert.equal(typed.warning(fine), "");
});

test("an answer counts while nothing was asked after it", () => {
  const turn = typed.newTurn();
  const first = turn.ask();
  assert.equal(turn.isLast(first), true);
  const second = turn.ask();
  assert.deepEqual([turn.isLast(first), turn.isLast(second)], [false, true]);
});

test("how a token is made is said with its id and bytes", () => {
  const made = { token: 262, bytes: "20 74 68 65", parts: [], merges: [[], [], []] };
  assert.match(typed.making(made, "‘·the’"), /^‘·the’: id 262, bytes 20 74 68 65\. 3 merges made it/);
  assert.equal(typed.making({ token: 64, bytes: "61", merges: [] }, "‘a’"), "‘a’: id 64, byte 61. A single byte: nothing was merged.");
  assert.match(typed.making({ token: 50256, bytes: "3C 7C", merges: [] }, "‘<|endoftext|>’"), /It stands for itself\.$/);
});

test("merges are told in one line where there is little room", () => {
  const merges = [[" ", "t", " t", 256], ["h", "e", "he", 258], [" t", "he", " the", 262]];
  const quoted = (text) => `‘${text}’`;
  assert.equal(typed.merged({ merges }, quoted), "Merges: ‘ ’ + ‘t’, then ‘h’ + ‘e’, then ‘ t’ + ‘he’");
  assert.equal(typed.merged({ merges: [] }, quoted), "");
});

test("an empty form asks for no text", () => {
  assert.deepEqual(typed.question([null, true, "demo"]), { text: "", bos: true, model: "demo" });
});
