"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const toasts = require("../../dashapp/assets/js/18-toasts.js");

const CALLBACK = "/_dash-update-component";

/** A fetch that is watched: what was said, and what the caller got. */
async function fetched(address, before, isLeaving = false) {
  const said = [];
  const watched = toasts.watching(before, (error) => said.push(error), () => isLeaving);
  try {
    return { said, got: await watched(address, { method: "POST" }) };
  } catch (error) {
    return { said, thrown: error };
  }
}

test("an answer is passed on and nothing is said", async () => {
  const answer = { status: 204 };
  assert.deepEqual(await fetched(CALLBACK, async () => answer), { said: [], got: answer });
});

test("a failure of the server is said and passed on as it is", async () => {
  for (const status of [500, 502, 404, 413]) {
    const { said, got } = await fetched(CALLBACK, async () => ({ status }));
    assert.equal(got.status, status);
    assert.match(said[0].instance, new RegExp(`HTTP ${status}`));
  }
});

test("what was too much for the server is said to be", async () => {
  const { said } = await fetched(CALLBACK, async () => ({ status: 413 }));
  assert.equal(said[0].remedy, "Shorten the prompt.");
});

test("who is asked to wait, to sign in or to reload is told so in the server's words", async () => {
  const words = { rule: "Each visitor has a share.", instance: "Yours is used up.", remedy: "Wait 9 s." };
  for (const status of [400, 401, 429]) {
    const { said, got } = await fetched(CALLBACK, async () => new Response(JSON.stringify(words), { status }));
    assert.deepEqual(said, [words]);
    assert.deepEqual(await got.json(), words); // the caller can still read it
    const other = await fetched(CALLBACK, async () => new Response("a proxy's page", { status }));
    assert.match(other.said[0].instance, new RegExp(`HTTP ${status}`));
  }
});

test("an unreachable server is said, and the caller gets the same error", async () => {
  const failure = new TypeError("Failed to fetch");
  const { said, thrown } = await fetched(CALLBACK, async () => { throw failure; });
  assert.equal(thrown, failure);
  assert.deepEqual(said, [toasts.UNREACHABLE]);
});

test("nothing is said of what was cancelled, nor when the page is left", async () => {
  const cancelled = Object.assign(new Error("cancelled"), { name: "AbortError" });
  assert.deepEqual((await fetched(CALLBACK, async () => { throw cancelled; })).said, []);
  assert.deepEqual((await fetched(CALLBACK, async () => { throw new TypeError("gone"); }, true)).said, []);
});

test("what is fetched elsewhere is left alone", async () => {
  const failure = new TypeError("Failed to fetch");
  for (const address of ["/assets/x.js", "/_dash-layout", { url: "/assets/y.js" }]) {
    assert.deepEqual((await fetched(address, async () => { throw failure; })).said, []);
  }
  assert.equal((await fetched({ url: CALLBACK }, async () => ({ status: 500 }))).said.length, 1);
});

test("fetch is called with what it was called with", async () => {
  const calls = [];
  await fetched(CALLBACK, async (...asked) => { calls.push(asked); return { status: 200 }; });
  assert.deepEqual(calls, [[CALLBACK, { method: "POST" }]]);
});

test("the same is not said twice, nor soon after it was dismissed", () => {
  const gone = new Map([["Old.", 1000]]);
  assert.ok(toasts.isNews("New.", ["Old."], new Map(), 0));
  assert.ok(!toasts.isNews("New.", ["New."], new Map(), 0));
  assert.ok(!toasts.isNews("Old.", [], gone, 1000 + toasts.QUIET - 1));
  assert.ok(toasts.isNews("Old.", [], gone, 1000 + toasts.QUIET));
});

test("an error is said whole", () => {
  assert.equal(toasts.worded({ rule: "R.", instance: "I.", remedy: "M." }), "R. I. M.");
});
