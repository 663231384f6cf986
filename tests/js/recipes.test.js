"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const { newShelf, PATIENCE } = require("../../dashapp/assets/js/22-recipes.js");

const GONE = { rule: "R.", instance: "I.", remedy: "M." };

/** A shelf, what it asked and told, and its clock. */
function shelfOf() {
  const seen = { kept: [], opened: [], told: [], now: 0 };
  const ask = { keep: (about) => seen.kept.push(about), open: (key) => seen.opened.push(key) };
  return { seen, shelf: newShelf(ask, (error) => seen.told.push(error), () => seen.now) };
}

test("a text is asked about once, then it has its key", () => {
  const { seen, shelf } = shelfOf();
  assert.equal(shelf.keyOf("prompt=long"), null);
  assert.equal(shelf.keyOf("prompt=long"), null);
  assert.equal(seen.kept.length, 1);
  assert.ok(shelf.kept(seen.kept[0], { id: seen.kept[0].id, key: "k" }));
  assert.equal(shelf.keyOf("prompt=long"), "k");
  assert.equal(shelf.textOf("k"), "prompt=long");
  assert.deepEqual(seen.opened, []);
});

test("a text that is not worth keeping has a key only if it is known", () => {
  const { seen, shelf } = shelfOf();
  assert.equal(shelf.keyOf("refused", false), null);
  assert.deepEqual(seen.kept, []);
  shelf.opened({ key: "k", text: "refused" });
  assert.equal(shelf.keyOf("refused", false), "k");
});

test("an answer to an earlier question is not taken for one to this", () => {
  const { seen, shelf } = shelfOf();
  shelf.keyOf("one");
  shelf.keyOf("two");
  assert.ok(!shelf.kept(seen.kept[1], { id: seen.kept[0].id, key: "k" }));
  assert.equal(shelf.keyOf("two"), null);
});

test("a key is asked about once, then it has its text", () => {
  const { seen, shelf } = shelfOf();
  assert.equal(shelf.textOf("k"), undefined);
  assert.equal(shelf.textOf("k"), undefined);
  assert.deepEqual(seen.opened, ["k"]);
  assert.ok(shelf.opened({ key: "k", text: "prompt=long" }));
  assert.equal(shelf.textOf("k"), "prompt=long");
  assert.equal(shelf.keyOf("prompt=long"), "k");
  assert.deepEqual(seen.kept, []);
});

test("an empty text is a text", () => {
  const { shelf } = shelfOf();
  shelf.textOf("k");
  assert.ok(shelf.opened({ key: "k", text: "" }));
  assert.equal(shelf.textOf("k"), "");
});

test("a key without a text is told once and not asked about again", () => {
  const { seen, shelf } = shelfOf();
  shelf.textOf("k");
  assert.ok(!shelf.opened({ key: "k", ...GONE }));
  seen.now = 10 * PATIENCE;
  assert.equal(shelf.textOf("k"), null);
  assert.equal(seen.opened.length, 1);
  assert.equal(seen.told.length, 1);
});

test("a text that is refused is told once and not asked about again", () => {
  const { seen, shelf } = shelfOf();
  shelf.keyOf("huge");
  assert.ok(!shelf.kept(seen.kept[0], { id: seen.kept[0].id, ...GONE }));
  seen.now = 10 * PATIENCE;
  assert.equal(shelf.keyOf("huge"), null);
  assert.equal(seen.kept.length, 1);
  assert.equal(seen.told.length, 1);
});

test("what nobody answered is asked again after a while", () => {
  const { seen, shelf } = shelfOf();
  shelf.keyOf("long");
  shelf.textOf("k");
  seen.now = PATIENCE;
  shelf.keyOf("long");
  shelf.textOf("k");
  assert.deepEqual([seen.kept.length, seen.opened.length], [2, 2]);
});
