"use strict";

const test = require("node:test");
const assert = require("node:assert");
const { awaited, next, sentence, look, ask } = require("../../dashapp/assets/js/45-works.js");

const waiting = { layout: { meta: { awaits: "k", summary: "A map." } } };
const whole = { layout: { meta: { summary: "A map." } } };
const running = { key: "k", title: "UMAP", phase: "running", doing: "computing", share: 0.4 };
const failed = { key: "k", title: "UMAP", phase: "failed", rule: "Rule.", instance: "Instance.", remedy: "Remedy." };

test("a figure says which work would complete it", () => {
  assert.equal(awaited(waiting), "k");
  for (const figure of [whole, {}, { layout: {} }, null, undefined]) assert.equal(awaited(figure), null);
});

test("a work is asked for until it is there, and again when the figure awaits another", () => {
  assert.equal(next(waiting, null, ""), "ask");
  assert.equal(next(waiting, running, ""), "ask");
  assert.equal(next(waiting, { ...failed, key: "other" }, ""), "ask");
  assert.equal(next(whole, running, ""), null);
});

test("what failed or was cancelled is not asked for again but by a person", () => {
  assert.equal(next(waiting, failed, ""), null);
  assert.equal(next(waiting, { ...running, phase: "cancelled" }, ""), null);
  assert.equal(next(waiting, failed, "work-retry"), "retry");
  assert.equal(next(waiting, running, "work-cancel"), "cancel");
});

test("a person reads what is happening", () => {
  assert.equal(sentence(running), "Computing UMAP");
  assert.equal(sentence({ ...running, doing: "starting" }), "Starting UMAP");
  assert.equal(sentence({ ...running, phase: "queued", place: 3 }), "UMAP waits for its turn: number 3 in the queue");
  assert.equal(sentence(failed), "UMAP failed. Rule. Instance. Remedy.");
  assert.equal(sentence({ ...running, phase: "cancelled" }), "UMAP was cancelled.");
});

test("nothing is shown below a figure that is whole", () => {
  for (const state of [null, running, failed]) assert.equal(look(whole, state).isShown, false);
  assert.equal(look(waiting, { ...running, phase: "done" }).isShown, false);
  assert.equal(look(whole, running).isBusy, false);
});

test("while it runs it can be cancelled, and when it has ended tried again", () => {
  assert.deepEqual(look(waiting, running), {
    isShown: true, says: "Computing UMAP", share: 0.4, isBusy: true, canStart: false, canRetry: false, hasFailed: false,
  });
  const over = look(waiting, failed);
  assert.deepEqual([over.isBusy, over.canRetry, over.hasFailed, over.share], [false, true, true, 0]);
  const cancelled = look(waiting, { ...running, phase: "cancelled" });
  assert.deepEqual([cancelled.isBusy, cancelled.canRetry, cancelled.hasFailed], [false, true, false]);
});

test("a work that a person begins waits for Start, and not for a second one", () => {
  const offered = { layout: { meta: { awaits: "k", starts: true } } };
  assert.equal(next(offered, null, ""), null);
  assert.equal(next(offered, { ...failed, key: "other" }, ""), null);
  assert.equal(next(offered, null, "work-start"), "ask");
  assert.equal(next(offered, running, ""), "ask");
  assert.equal(next(offered, failed, "work-retry"), "retry");
  const before = look(offered, null);
  assert.deepEqual([before.isShown, before.says, before.isBusy, before.canStart, before.canRetry], [true, "", false, true, false]);
  assert.deepEqual([look(offered, running).canStart, look(offered, running).isBusy], [false, true]);
  assert.equal(look(waiting, null).canStart, false);
});

test("the state of another work says nothing about this one", () => {
  const shown = look(waiting, { ...failed, key: "other" });
  assert.deepEqual([shown.says, shown.isBusy, shown.canRetry], ["Looking it up", true, false]);
});

test("after a Cancel nobody asks before its answer has come, but a person", () => {
  const told = (part) => ({ callback_context: { triggered: [{ prop_id: `{"type":"${part}"}.n_clicks` }] }, no_update: "same" });
  globalThis.window = { dash_clientside: told("work-cancel") };
  const [id, other] = [{ panel: "map", slot: "a" }, { panel: "map", slot: "b" }];
  let state = running;
  const press = (part, place = id) => {
    globalThis.window.dash_clientside = told(part);
    const answer = ask(waiting, 0, 0, 0, 0, state, place);
    if (answer.do) state = { ...running, at: answer.at };
    return answer.do || answer;
  };
  assert.equal(press("work-pulse"), "ask");
  assert.equal(press("work-cancel"), "cancel");
  assert.equal(press("work-pulse"), "same");
  assert.equal(press("work-pulse", other), "ask");
  assert.equal(press("work-retry"), "retry");
  assert.equal(press("work-pulse"), "ask");
  delete globalThis.window;
});

test("nobody asks again before the answer has come: Dash would throw it away", (context) => {
  context.mock.method(performance, "now", () => clock);
  let clock = 1000;
  globalThis.window = { dash_clientside: { callback_context: { triggered: [{ prop_id: "pulse.n_intervals" }] }, no_update: "same" } };
  const id = { panel: "slow", slot: "b" };
  const asks = (state, figure = waiting) => ask(figure, 0, 0, 0, 0, state, id);
  const first = asks(null);
  assert.equal(first.part, 0);
  assert.deepEqual([first.do, first.awaits, first.at], ["ask", "k", 1000]); // "awaits" tells the server when another follows
  clock = 1400;
  assert.equal(asks(null), "same");
  assert.equal(asks({ ...running, at: 600 }), "same"); // the answer to a question before
  const second = asks({ ...running, at: 1000, part: 2 });
  assert.deepEqual([second.at, second.part], [1400, 2]); // which part of the result came with that answer
  clock = 1800;
  assert.equal(asks({ ...running, at: 1000 }), "same");
  assert.equal(asks(null, { layout: { meta: { awaits: "another" } } }).awaits, "another");
  assert.equal(asks({ ...running, at: 1000 }).do, "ask"); // this one is awaited again
  clock += 15000;
  assert.equal(asks({ ...running, at: 1000 }).do, "ask"); // the answer is lost
  delete globalThis.window;
});
