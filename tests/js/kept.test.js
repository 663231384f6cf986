"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const kept = require("../../dashapp/assets/js/08-kept.js");

function withStore(store, act) {
  global.window = store;
  try {
    return act();
  } finally {
    delete global.window;
  }
}

test("what is kept is read again", () => {
  const items = new Map();
  const localStorage = { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value) };
  withStore({ localStorage }, () => {
    assert.equal(kept.read("theme"), null);
    kept.write("theme", "dark");
    assert.equal(kept.read("theme"), "dark");
  });
});

test("a store that is full, and one that is refused, stop nothing", () => {
  const full = { getItem: () => "light", setItem: () => { throw new Error("QuotaExceededError"); } };
  withStore({ localStorage: full }, () => {
    kept.write("theme", "dark");
    assert.equal(kept.read("theme"), "light");
  });
  const refused = {};
  const denied = { configurable: true, get() { throw new Error("SecurityError"); } };
  for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(refused, name, denied);
  kept.standIn(refused);
  withStore(refused, () => {
    kept.write("theme", "dark");
    assert.equal(kept.read("theme"), null);
    assert.throws(() => window.sessionStorage.setItem("a", "b"), /keeps nothing/);
    assert.deepEqual([window.sessionStorage.length, window.sessionStorage.key(0)], [0, null]);
  });
  const whole = { localStorage: {}, sessionStorage: {} };
  const before = { ...whole };
  kept.standIn(whole);
  assert.deepEqual(whole, before);
});
