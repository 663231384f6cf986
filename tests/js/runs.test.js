"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const runs = require("../../dashapp/assets/js/30-runs.js");

const request = { id: "r1", prompt: "Hi" };
const admitted = { id: "r1", kind: "admitted" };
const told = { trace: "k", tokens: ["Hi", " there"], n_prompt: 1, stop: "length", seconds: 0.5 };
const state = (seen, before = null) => runs.state({ request, ...seen }, before);

test("without a request there is nothing", () => {
  assert.equal(runs.state({ request: null }, null).phase, "nothing");
});

test("a request is asked about until its own answer comes", () => {
  assert.equal(state({}).phase, "asking");
  assert.equal(state({ answer: { id: "another", kind: "known", ...told } }).phase, "asking");
});

test("a known run is done at once", () => {
  const run = state({ answer: { id: "r1", kind: "known", ...told } });
  assert.equal(run.phase, "done");
  assert.deepEqual([run.trace, run.tokens, run.nPrompt], ["k", ["Hi", " there"], 1]);
});

test("a refusal carries its three sentences", () => {
  const run = state({ answer: { id: "r1", kind: "refused", rule: "A.", instance: "B.", remedy: "C." } });
  assert.deepEqual([run.phase, run.rule, run.instance, run.remedy], ["failed", "A.", "B.", "C."]);
  assert.ok(run.isRefused); // asking for the same again would not help
});

test("progress of another request is not shown", () => {
  const run = state({ answer: admitted, progress: { id: "old", tokens: ["x"], n_prompt: 1 }, running: true });
  assert.deepEqual([run.phase, run.tokens], ["running", []]);
});

test("tokens appear as they are told and stay when progress is silent", () => {
  const first = state({ answer: admitted, running: true, progress: { id: "r1", tokens: ["Hi", "!"], n_prompt: 1, doing: "generating" } });
  assert.deepEqual(first.tokens, ["Hi", "!"]);
  assert.deepEqual(state({ answer: admitted, running: true, progress: { id: "r1", beat: 2 } }, first).tokens, ["Hi", "!"]);
});

test("the result ends the run, done or failed", () => {
  const done = state({ answer: admitted, finished: { id: "r1", status: "done", ...told } });
  assert.equal(done.phase, "done");
  const failed = state({ answer: admitted, finished: { id: "r1", status: "failed", rule: "A.", instance: "B.", remedy: "C." } });
  assert.deepEqual([failed.phase, failed.remedy], ["failed", "C."]);
});

test("a job that ended without a result is lost after a moment of grace, and keeps its tokens", () => {
  const running = state({
    answer: admitted,
    running: true,
    pulse: 5,
    progress: { id: "r1", beat: 1, tokens: ["Hi", "!"], n_prompt: 1, doing: "generating" },
  });
  const ended = { answer: admitted, running: false, progress: { id: "r1", beat: 1, tokens: ["Hi", "!"], n_prompt: 1, doing: "generating" } };
  const waiting = state({ ...ended, pulse: 5 }, running);
  assert.equal(waiting.phase, "running");
  const lost = state({ ...ended, pulse: 5 + runs.GRACE }, waiting);
  assert.deepEqual([lost.phase, lost.tokens], ["failed", ["Hi", "!"]]);
  assert.match(lost.remedy, /Retry/);
});

test("a job that gives no sign of life is given up, one that beats is not", () => {
  let run = state({ answer: admitted, running: true, pulse: 1, progress: { id: "r1", beat: 1 } });
  for (let pulse = 2; pulse < 40; pulse += 1) {
    run = state({ answer: admitted, running: true, pulse, progress: { id: "r1", beat: pulse } }, run);
  }
  assert.equal(run.phase, "running");
  run = state({ answer: admitted, running: true, pulse: 39 + runs.PATIENCE, progress: { id: "r1", beat: 39 } }, run);
  assert.equal(run.phase, "failed");
});

test("a result that comes after a run was given up still ends it well", () => {
  const lost = { id: "r1", phase: "failed", tokens: [], nPrompt: 0, since: 0 };
  assert.equal(state({ answer: admitted, finished: { id: "r1", status: "done", ...told } }, lost).phase, "done");
});

test("who waits in the queue sees the place and may leave it", () => {
  const waiting = { id: "r1", kind: "waiting", place: 3 };
  const run = state({ answer: waiting });
  assert.deepEqual([run.phase, run.place], ["queued", 3]);
  assert.match(runs.sentence(run), /number 3/);
  assert.equal(state({ answer: waiting, stop: "r1" }, run).phase, "failed");
  assert.equal(state({ answer: waiting, stop: "another" }, run).phase, "queued");
});

test("waiting long in the queue is no failure", () => {
  const first = state({ answer: { id: "r1", kind: "waiting", place: 3 }, pulse: 1 });
  assert.equal(state({ answer: { id: "r1", kind: "waiting", place: 3 }, pulse: 500 }, first).phase, "queued");
});

test("the prediction shown is that of the selected token, or of the end of the prompt", () => {
  const run = { tokens: ["a", "b", "c", "d"], nPrompt: 2 };
  assert.equal(runs.position(run, 3), 3);
  assert.equal(runs.position(run, null), 1);
  assert.equal(runs.position(run, 99), 3);
  assert.equal(runs.position({ tokens: [], nPrompt: 0 }, 0), null);
});

test("sentences count tokens as people do", () => {
  const done = { phase: "done", tokens: ["a", "b"], nPrompt: 1, stop: "person", seconds: 1.234 };
  assert.equal(runs.sentence(done), "1 token of prompt, 1 generated in 1.2 s. You stopped it.");
});

test("a text that was stopped and is only being traced leaves the button free", () => {
  const progress = { id: "r1", tokens: ["Hi", "!", "?"], n_prompt: 1 };
  const drawing = state({ answer: admitted, running: true, progress: { ...progress, doing: "generating" } });
  assert.ok(runs.canStop(drawing));
  const stopping = state({ answer: admitted, running: true, stop: "r1", progress: { ...progress, doing: "generating" } });
  assert.deepEqual([runs.canStop(stopping), runs.sentence(stopping)], [true, "Stopping"]);
  const kept = state({ answer: admitted, running: true, stop: "r1", progress: { ...progress, doing: "tracing" } });
  assert.deepEqual([runs.canStop(kept), runs.isBusy(kept), kept.tokens.length], [false, true, 3]);
  assert.match(runs.sentence(kept), /^Stopped: 2 tokens kept/);
  const traced = state({ answer: admitted, running: true, progress: { ...progress, doing: "tracing" } });
  assert.ok(runs.canStop(traced)); // nobody stopped it
});

test("a prompt of nothing is said to be one", () => {
  const run = { phase: "done", tokens: ["<|endoftext|>", "The"], nPrompt: 1, stop: "length" };
  assert.equal(runs.sentence(run), "An empty prompt: the model begins from <|endoftext|> alone, 1 generated.");
  assert.equal(runs.sentence({ ...run, tokens: ["Hi", "!"] }), "1 token of prompt, 1 generated.");
});

test("a state that comes late takes no token back", () => {
  const ahead = { id: "r1", phase: "running", tokens: ["Hi", "!", " You"], nPrompt: 1 };
  const late = { id: "r1", tokens: ["Hi", "!"], n_prompt: 1, doing: "generating" };
  assert.deepEqual(state({ answer: admitted, running: true, progress: late }, ahead).tokens, ["Hi", "!", " You"]);
});

test("panels keep the run before until there is something of the next, or it takes long", () => {
  const before = { id: "r0", phase: "done", tokens: ["Hm"], nPrompt: 1, trace: "k0" };
  const asking = { id: "r1", phase: "asking", tokens: [], nPrompt: 0 };
  const drawing = { id: "r1", phase: "running", tokens: ["Hi", "!"], nPrompt: 1 };
  const computed = { id: "r1", phase: "running", tokens: [], nPrompt: 0 };
  assert.equal(runs.forPanels(asking, before, false), before);
  assert.deepEqual(runs.forPanels(asking, before, true), computed);
  assert.deepEqual(runs.forPanels({ ...asking, phase: "queued" }, before, false), computed);
  assert.deepEqual(runs.forPanels(drawing, before, false), computed);
  assert.deepEqual(runs.forPanels(asking, null, false), computed); // there is no figure to keep
});

test("panels hear of a run that is computed once, and then how it ended", () => {
  const told = runs.forPanels({ id: "r1", phase: "running", tokens: ["Hi", "!"], nPrompt: 1 }, null, false);
  assert.equal(runs.forPanels({ id: "r1", phase: "running", tokens: ["Hi", "!", " You"], nPrompt: 1 }, told, true), told);
  const done = { id: "r1", phase: "done", tokens: ["Hi", "!", " You"], nPrompt: 1, trace: "k" };
  assert.equal(runs.forPanels(done, told, false), done);
  assert.equal(runs.forPanels({ ...done }, done, false), done);
  const failed = { id: "r1", phase: "failed", tokens: ["Hi"], nPrompt: 1, rule: "A." };
  assert.equal(runs.forPanels(failed, told, false), failed);
  assert.equal(runs.forPanels(done, failed, false), done); // it came after all
});
