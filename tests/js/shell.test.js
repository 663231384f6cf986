"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const shell = require("../../dashapp/assets/js/50-shell.js");

const values = ["Hi", 40, 0.8, 0, 0.95, 0, true, true, "demo"];

test("ids are 32 hexadecimal digits and differ", () => {
  const ids = Array.from({ length: 100 }, shell.newId);
  assert.ok(ids.every((id) => /^[0-9a-f]{32}$/.test(id)));
  assert.equal(new Set(ids).size, 100);
});

test("two requests are the same when all but their ids agree", () => {
  const one = { ...shell.formRequest(values), id: "1" };
  assert.ok(shell.isSameRequest(one, { ...one, id: "2" }));
  assert.ok(!shell.isSameRequest(one, { ...one, seed: 1 }));
  assert.ok(!shell.isSameRequest(one, { ...one, model: "gpt2" }));
  assert.ok(!shell.isSameRequest(one, { ...one, then: [5] }));
  assert.ok(shell.isSameRequest({ ...one, then: [5, 6] }, { ...one, then: [5, 6], id: "2" }));
  assert.ok(!shell.isSameRequest(one, null));
});

test("a link names the weights of a run once they are known, and of no other run", () => {
  const request = { ...shell.formRequest(values), id: "1" };
  const model = { name: "demo", fingerprint: "0123456789abcdef" };
  assert.equal(shell.asShown(request, { id: "1", model }).weights, "0123456789ab");
  assert.equal(shell.asShown(request, { id: "0", model }).weights, undefined);
  assert.equal(shell.asShown(request, { id: "1", phase: "running" }).weights, undefined);
  assert.equal(shell.asShown(null, null), null);
});

test("a link to a run that was stopped asks for what it has drawn", () => {
  const request = { ...shell.formRequest(values), id: "1" };
  const run = { id: "1", stop: "person", tokens: ["Hi", "!", " You"], nPrompt: 1, model: { fingerprint: "0123456789abcdef" } };
  assert.equal(shell.asShown(request, run).max_new_tokens, 2);
  assert.equal(shell.asShown(request, { ...run, stop: "end" }).max_new_tokens, request.max_new_tokens);
});

test("a link carries the view to a page, and to a panel of it", () => {
  assert.equal(shell.linkTo("/attention", "?prompt=Hi"), "/attention?prompt=Hi");
  assert.equal(shell.linkTo("/attention#title-head-grid-a", "?prompt=Hi"), "/attention?prompt=Hi#title-head-grid-a");
});

test("the settings are one line, without those that cut nothing", () => {
  assert.equal(shell.summary(shell.formRequest(values)), "demo · 40 new · T 0.8 · top-p 0.95 · seed 0");
  const other = shell.formRequest(["Hi", 0, 1, 50, 1, NaN, false, false, "gpt2"]);
  assert.equal(shell.summary(other), "gpt2 · 0 new · T 1 · top-k 50 · seed – · no <|endoftext|> · past <|endoftext|>");
});

test("a link of other weights can be run with those that are here, one of another model with one that is here", () => {
  const request = { prompt: "x", model: "gpt2", weights: "0123456789ab" };
  assert.equal(shell.insteadOf({ phase: "failed", error: "OtherWeights" }, request), "gpt2");
  assert.equal(shell.insteadOf({ phase: "failed", error: "ModelNotHere", instead: "demo" }, request), "demo");
  assert.equal(shell.insteadOf({ phase: "failed", error: "PromptTooLong" }, request), null);
  assert.equal(shell.insteadOf({ phase: "done" }, request), null);
});
