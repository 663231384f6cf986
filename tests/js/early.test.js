"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const early = require("../../dashapp/assets/js/32-early.js");

/** What is handed on of answers that come one after another, and how many were asked for. */
async function watched(answers, hand = () => true) {
  const seen = { handed: [], asked: 0, waited: 0 };
  const ask = async () => answers[Math.min(seen.asked++, answers.length - 1)];
  const wait = async (ms) => void (seen.waited += ms);
  await early.watch("r1", (told) => (seen.handed.push(told), hand(told)), ask, wait);
  return seen;
}

const read = { id: "r1", tokens: ["Hi"], n_prompt: 1 };
const begun = { id: "r1", tokens: ["Hi", "!"], n_prompt: 1 };

test("a job is asked until it has drawn a token, and no longer", async () => {
  const seen = await watched([null, { id: "r1", beat: 1 }, read, begun, begun]);
  assert.deepEqual(seen.handed, [read, begun]);
  assert.deepEqual([seen.asked, seen.waited], [4, 3 * early.EVERY_MS]);
});

test("who no longer waits is not asked for", async () => {
  const seen = await watched([null, read, begun], () => false);
  assert.deepEqual([seen.handed, seen.asked], [[read], 2]);
});

test("a job that tells nothing is left to Dash after a while", async () => {
  assert.equal((await watched([null])).asked, early.MOST);
});
