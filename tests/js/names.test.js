"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const names = require("../../dashapp/assets/js/59-names.js");

test("a dot says the name and the number of its token", () => {
  assert.deepEqual(names.sentences(["!", "·cat"]), ["‘!’ (token 0)", "‘·cat’ (token 1)"]);
});
