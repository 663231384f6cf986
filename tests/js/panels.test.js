"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const panels = require("../../dashapp/assets/js/40-panels.js");

const done = { phase: "done", trace: "k" };
const chosen = { theme: "dark", text: 1, units: "bits", narrow: false, knobs: { scale: "fit" }, selection: { pos: 4 } };

test("a panel's view holds what it reads of the selection and nothing else", () => {
  const view = { key: "k", theme: "dark", text: 1, units: "bits", narrow: false, knobs: { scale: "fit" }, beside: null, pos: 4 };
  assert.deepEqual(panels.viewOf(done, chosen, ["pos"]), view);
  assert.ok(!("pos" in panels.viewOf(done, chosen, [])));
});

test("what is decided of an alignment is no field of the selection, and stands once in a view", () => {
  const beside = { key: "other", selection: { pos: 7 } };
  const view = panels.viewOf(done, { ...chosen, beside, pins: "3-4" }, ["pos", "pins"]);
  assert.deepEqual([view.pins, view.pos, view.beside], ["3-4", 4, { key: "other", pos: 7 }]);
  assert.ok(!("pins" in panels.viewOf(done, { ...chosen, pins: "" }, ["pins"])));
});

test("a panel that does not read the selection has the same view when it changes", () => {
  const moved = { ...chosen, selection: { pos: 5 } };
  assert.ok(panels.isSame(panels.viewOf(done, chosen, []), panels.viewOf(done, moved, [])));
  assert.ok(!panels.isSame(panels.viewOf(done, chosen, ["pos"]), panels.viewOf(done, moved, ["pos"])));
});

test("a panel that shares its ranges names the trace beside it, and what of the selection that shows", () => {
  const beside = { key: "other", selection: { pos: 7, layer: 1 } };
  assert.deepEqual(panels.viewOf(done, { ...chosen, beside }, ["pos"]).beside, { key: "other", pos: 7 });
  assert.equal(panels.viewOf(done, chosen, ["pos"]).beside, null);
});

test("nothing is asked for before a run is done or the looks of the page are known", () => {
  assert.equal(panels.viewOf(null, chosen, []), null);
  assert.equal(panels.viewOf({ ...done, phase: "running" }, chosen, []), null);
  assert.equal(panels.viewOf(done, { ...chosen, theme: undefined }, []), null);
  assert.equal(panels.viewOf(done, { ...chosen, text: undefined }, []), null);
  assert.equal(panels.viewOf(done, { ...chosen, units: undefined }, []), null);
});

const step = (next, before, isNear = true) => panels.stepOf(next, before, () => isNear);

test("a panel that is far from the window does not ask, and what it shows stays", () => {
  const shown = { asked: { key: "one" }, figure: { key: "one" }, isFaulty: false, isHidden: false };
  assert.deepEqual(step({ key: "other" }, shown, false), { asks: false, hides: false });
  assert.deepEqual(step({ key: "one" }, { ...shown, figure: null, isFaulty: true, isHidden: true }, false), { asks: false, hides: true });
});

test("where nothing is to be drawn, nobody asks whether a panel is near", () => {
  const shown = { asked: { key: "one" }, figure: { key: "one" }, isFaulty: false, isHidden: false };
  assert.deepEqual(panels.stepOf({ key: "one" }, shown, assert.fail), { asks: false, hides: false });
});

test("nothing is seen of a figure until it shows what is asked for", () => {
  const [one, other] = [{ key: "one" }, { key: "other" }];
  const first = { asked: null, figure: null, isFaulty: false, isHidden: true };
  assert.deepEqual(step(one, first), { asks: true, hides: true });
  assert.deepEqual(step(one, { ...first, asked: one }), { asks: false, hides: true }); // still being drawn
  const shown = { asked: one, figure: one, isFaulty: false, isHidden: false };
  assert.deepEqual(step(other, shown), { asks: true, hides: false }); // a knob: the last one until then
  assert.deepEqual(step(null, shown), { asks: false, hides: true });
  assert.deepEqual(step(other, { ...shown, isHidden: true }), { asks: true, hides: true });
  assert.deepEqual(step(one, { ...shown, isHidden: true }), { asks: false, hides: false }); // as before
});

test("a fault is asked about again", () => {
  const view = { key: "gone" };
  const faulty = { asked: view, figure: null, isFaulty: true, isHidden: true };
  assert.deepEqual(step(view, faulty), { asks: true, hides: true });
});

test("every phase but done says what will be here", () => {
  for (const phase of ["nothing", "running", "failed"]) assert.ok(panels.waiting({ phase }));
  assert.equal(panels.waiting(done), "");
});

test("the outline surrounds one position", () => {
  const [shape] = panels.outline(4, "#b26a00");
  assert.deepEqual([shape.x0, shape.x1, shape.line.color], [3.5, 4.5, "#b26a00"]);
  assert.deepEqual(panels.outline(null, "#b26a00"), []);
});

test("a pattern outlines what a token looks at and who looks at it, and no future", () => {
  const [row, column] = panels.KINDS.pattern.outlines({ pos: 4 }, "#b26a00", { layout: {}, data: [{ x: Array(9) }] });
  assert.deepEqual([row.x0, row.x1, row.y0, row.y1], [-0.5, 4.5, 3.5, 4.5]);
  assert.deepEqual([column.x0, column.x1, column.y0, column.y1], [3.5, 4.5, 3.5, 8.5]);
  assert.deepEqual(panels.KINDS.pattern.outlines({ pos: null }, "#b26a00", { layout: {}, data: [{ x: Array(9) }] }), []);
});

test("a square outlines a token's whole row and column", () => {
  const [row, column] = panels.KINDS.matrix.outlines({ pos: 4 }, "#b26a00", { layout: {}, data: [{ x: Array(9) }] });
  assert.deepEqual([row.x0, row.x1, row.y0, row.y1], [-0.5, 8.5, 3.5, 4.5]);
  assert.deepEqual([column.x0, column.x1, column.y0, column.y1], [3.5, 4.5, -0.5, 8.5]);
  assert.deepEqual([row.yref, column.yref], ["y", "y"]);
  assert.deepEqual(panels.KINDS.matrix.outlines({ pos: 9 }, "#b26a00", { layout: {}, data: [{ x: Array(9) }] }), []);
  assert.deepEqual(panels.KINDS.matrix.picks({ pointNumber: [3, 7] }, { layout: {} }), { pos: 3 });
});

test("the second token of a pair is outlined too, dashed, and in a square their cell", () => {
  const pair = { pos: 4, key: 2, layer: null, head: 1 };
  const data = [{ x: [5, 6, 7, 8, 9], y: [1, 1, 1, 1, 1], customdata: [0, 1, 2, 3, 4] }];
  const looks = (kind) => panels.KINDS[kind].outlines(pair, "#b26a00", { layout: {}, data }).map(({ line, x0, y0, xanchor }) => [line.dash || "", xanchor ?? x0, y0]);
  for (const kind of ["pos", "lens", "layer_pos", "neuron_pos"]) assert.deepEqual(looks(kind), [["", 3.5, 0], ["dot", 1.5, 0]], kind);
  assert.deepEqual(looks("head_pos"), [["", 3.5, 0.5], ["dot", 1.5, 0.5]]);
  assert.deepEqual(looks("row"), [["", 0, 3.5], ["dot", 0, 1.5]]);
  for (const kind of ["point", "steps"]) assert.deepEqual(looks(kind), [["", 9, -9], ["dot", 7, -9]], kind);
  assert.deepEqual(looks("matrix").slice(2), [["", 1.5, 3.5]]);
  for (const key of [4, null, undefined]) assert.equal(panels.KINDS.pos.outlines({ pos: 4, key }, "#b26a00").length, 1);
});

test("a square of pooled tokens outlines the cells of the selected one, and a click selects the first of a row", () => {
  const pooled = { layout: { meta: { tokens_a_row: 2 } }, data: [{ x: Array(9) }] };
  for (const pos of [8, 9]) {
    const [row, column] = panels.KINDS.pattern.outlines({ pos }, "#b26a00", pooled);
    assert.deepEqual([row.x0, row.x1, row.y0, row.y1], [-0.5, 4.5, 3.5, 4.5]);
    assert.deepEqual([column.x0, column.x1, column.y0, column.y1], [3.5, 4.5, 3.5, 8.5]);
    assert.deepEqual(panels.KINDS.matrix.outlines({ pos }, "#b26a00", pooled)[0].y0, 3.5);
  }
  assert.deepEqual(panels.KINDS.pattern.picks({ pointNumber: [5, 1] }, pooled), { pos: 10, key: 2 });
  assert.deepEqual(panels.KINDS.matrix.picks({ pointNumber: [5, 1] }, pooled), { pos: 10 });
});

test("rows outline the selected token's, and a click selects the first token of a row", () => {
  const each = { layout: {} };
  const pooled = { layout: { meta: { tokens_a_row: 4 } } };
  const at = (pos, graph) => panels.KINDS.row.outlines({ pos }, "#b26a00", graph).map(({ y0, y1 }) => [y0, y1]);
  assert.deepEqual(at(7, each), [[6.5, 7.5]]);
  assert.deepEqual(at(7, pooled), [[0.5, 1.5]]);
  assert.deepEqual(at(8, pooled), [[1.5, 2.5]]);
  assert.deepEqual(at(null, each), []);
  assert.deepEqual(panels.KINDS.row.picks({ pointNumber: [5, 700] }, each), { pos: 5 });
  assert.deepEqual(panels.KINDS.row.picks({ pointNumber: [5, 700] }, pooled), { pos: 20 });
});

test("a map rings the selected token wherever it is, and none that is not placed", () => {
  const data = [
    { x: [null, 1.5], y: [null, -2], customdata: [0, 1] },
    { x: [7], y: [8], customdata: [2] },
  ];
  const ring = (pos) => panels.KINDS.point.outlines({ pos }, "#b26a00", { data }).map((shape) => [shape.xanchor, shape.yanchor]);
  assert.deepEqual(ring(1), [[1.5, -2]]);
  assert.deepEqual(ring(2), [[7, 8]]);
  assert.deepEqual(ring(0), []);
  assert.deepEqual(ring(3), []);
  assert.deepEqual(ring(null), []);
  assert.deepEqual(panels.KINDS.point.picks({ customdata: 2 }), { pos: 2 });
});

test("a grid of heads outlines the selected one, and a click selects by layer and head", () => {
  const [shape] = panels.KINDS.head.outlines({ layer: 2, head: 5 }, "#b26a00");
  assert.deepEqual([shape.x0, shape.x1, shape.y0, shape.y1], [4.5, 5.5, 1.5, 2.5]);
  assert.deepEqual(panels.KINDS.head.outlines({ layer: null, head: null }, "#b26a00"), []);
  assert.deepEqual(panels.KINDS.head.picks({ x: 5, y: 2 }), { layer: 2, head: 5 });
});

test("arrow keys walk the heads and stay inside", () => {
  const cells = [Array(4), Array(4), Array(4)];
  const { moves } = panels.KINDS.head;
  assert.deepEqual(moves("ArrowDown", { layer: null, head: null }, { text: cells }), { layer: 0, head: 0 });
  assert.deepEqual(moves("ArrowRight", { layer: 1, head: 2 }, { text: cells }), { layer: 1, head: 3 });
  assert.deepEqual(moves("ArrowRight", { layer: 1, head: 3 }, { text: cells }), { layer: 1, head: 3 });
  assert.deepEqual(moves("ArrowDown", { layer: 2, head: 0 }, { text: cells }), { layer: 2, head: 0 });
  assert.deepEqual(moves("Escape", { layer: 2, head: 0 }, { text: cells }), { layer: null, head: null });
  assert.equal(moves("a", { layer: 2, head: 0 }, { text: cells }), null);
});

test("a token of a lens becomes the target, and no more when it is chosen again", () => {
  const { picks, moves } = panels.KINDS.token;
  const none = { target: null };
  assert.deepEqual(picks({ customdata: 3797 }, {}, none), { target: 3797 });
  assert.deepEqual(picks({ customdata: 3797 }, {}, { target: 3797 }), none);
  assert.equal(picks({ x: 1, y: 2 }, {}, none), null); // a point of the line beside it
  const cells = { customdata: [[5, 6], [7, 8]] };
  assert.deepEqual(moves("2", none, cells), { target: 8 });
  assert.deepEqual(moves("1", { target: 7 }, cells), none);
  assert.deepEqual(moves("Escape", { target: 7 }, cells), none);
  assert.equal(moves("3", none, cells), null);
  assert.equal(moves("ArrowUp", none, cells), null);
});

test("a space has a ring for the selected token, and none for one that is not placed", () => {
  const points = { type: "scatter3d", x: [1, null], y: [2, null], z: [3, null], customdata: [7, 8] };
  const ring = { type: "scatter3d", meta: "ring", x: [null], y: [null], z: [null] };
  const line = { type: "scatter3d", x: [1], y: [2], z: [3] };
  const data = [line, points, ring];
  assert.deepEqual(panels.KINDS.point.outlines({ pos: 7 }, "#b26a00", { data }), []); // a shape has no depth
  assert.deepEqual(panels.placeOf(7, data), [1, 2, 3]);
  assert.equal(panels.placeOf(8, data), null);
  assert.deepEqual(panels.ringMoved([1, 2, 3], data), [{ x: [[1]], y: [[2]], z: [[3]] }, [2]]);
  assert.equal(panels.ringMoved(null, data), null); // it is nowhere already
  assert.equal(panels.ringMoved([1, 2, 3], [points, { ...ring, x: [1], y: [2], z: [3] }]), null);
});

test("arrow keys turn a space and keep how far one is away", () => {
  const eye = { x: 1.25, y: 1.25, z: 1.25 };
  const far = ({ x, y, z }) => Math.hypot(x, y, z);
  for (const key of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]) {
    const next = panels.turned(key, eye);
    assert.ok(Math.abs(far(next) - far(eye)) < 1e-9);
    assert.notDeepEqual(next, eye);
  }
  assert.equal(panels.turned("a", eye), null);
  let high = eye;
  for (let i = 0; i < 30; i += 1) high = panels.turned("ArrowUp", high);
  assert.ok(Math.hypot(high.x, high.y) > 0.05 && high.z > 0); // never over the pole
  const back = panels.turned("ArrowRight", panels.turned("ArrowLeft", eye));
  assert.ok(Math.abs(back.x - eye.x) < 1e-9);
});

test("layers against each other: the first row is what enters layer 0", () => {
  const { outlines, picks, moves } = panels.KINDS.between;
  const graph = { data: [{ x: Array(4) }], layout: {} };
  const [row, column] = outlines({ layer: 1 }, "#b26a00", graph);
  assert.deepEqual([row.y0, row.y1, column.x0, column.x1], [1.5, 2.5, 1.5, 2.5]);
  assert.deepEqual(outlines({ layer: null }, "#b26a00", graph), []);
  assert.deepEqual(picks({ pointNumber: [3, 0] }), { layer: 2 });
  assert.deepEqual(picks({ pointNumber: [0, 2] }), { layer: null });
  assert.deepEqual(moves("ArrowDown", { layer: null }, { x: Array(4) }), { layer: 0 });
  assert.deepEqual(moves("ArrowDown", { layer: 2 }, { x: Array(4) }), { layer: 2 });
  assert.deepEqual(moves("ArrowUp", { layer: 2 }, { x: Array(4) }), { layer: 1 });
  assert.deepEqual(moves("Escape", { layer: 2 }, { x: Array(4) }), { layer: null });
  assert.equal(moves("x", { layer: 2 }, { x: Array(4) }), null);
});

test("a field counts only while its knob says so", () => {
  const spec = { reads: ["pos", "layer"], when: { pos: ["measure", "token"] } };
  assert.deepEqual(panels.counting(spec, { measure: "cka" }), ["layer"]);
  assert.deepEqual(panels.counting(spec, { measure: "token" }), ["pos", "layer"]);
  assert.deepEqual(panels.counting({ reads: ["pos"] }, {}), ["pos"]);
});

test("a bar of a token of the vocabulary becomes the target, by mouse and by keys", () => {
  const { outlines, picks, moves } = panels.KINDS.vocabulary;
  const bars = { customdata: [3797, 12, 50256] };
  const none = { target: null };
  assert.deepEqual(picks({ customdata: 12 }, {}, none), { target: 12 });
  assert.deepEqual(picks({ customdata: 12 }, {}, { target: 12 }), none);
  assert.deepEqual(moves("ArrowDown", none, bars), { target: 3797 });
  assert.deepEqual(moves("ArrowDown", { target: 3797 }, bars), { target: 12 });
  assert.deepEqual(moves("ArrowDown", { target: 50256 }, bars), { target: 50256 });
  assert.deepEqual(moves("ArrowUp", { target: 3797 }, bars), { target: 3797 });
  assert.deepEqual(moves("Escape", { target: 12 }, bars), none);
  assert.equal(moves("a", none, bars), null);
  assert.equal(moves("ArrowDown", none, { customdata: [] }), null);
  const [shape] = outlines({ target: 12 }, "#b26a00", { data: [bars] });
  assert.deepEqual([shape.y0, shape.y1], [0.5, 1.5]);
  assert.deepEqual(outlines({ target: 99 }, "#b26a00", { data: [bars] }), []);
  assert.deepEqual(outlines(none, "#b26a00", { data: [bars] }), []);
});

test("the bar of all others selects nothing", () => {
  assert.deepEqual(panels.KINDS.bar.picks({ customdata: 3 }), { pos: 3 });
  assert.equal(panels.KINDS.bar.picks({}), null);
});

test("a crop surrounds its token and stays within the text", () => {
  assert.deepEqual(panels.around(50, 100, 40), [30, 69]);
  assert.deepEqual(panels.around(3, 100, 40), [0, 39]);
  assert.deepEqual(panels.around(99, 100, 40), [60, 99]);
});

test("heads in another order are outlined, clicked and walked where they are", () => {
  // Two maps side by side, a gap between them; then a table whose rows are heads.
  const maps = [[[0, 0], [0, 1], null, [0, 0], [0, 1]], [[1, 0], [1, 1], null, [1, 0], [1, 1]]];
  const { outlines, picks, moves } = panels.KINDS.head;
  const frames = (cells, layer, head) => outlines({ layer, head }, "#b26a00", { data: [{ customdata: cells }] }).map(({ x0, x1, y0, y1 }) => [x0, x1, y0, y1]);
  assert.deepEqual(frames(maps, 1, 0), [[-0.5, 0.5, 0.5, 1.5], [2.5, 3.5, 0.5, 1.5]]);
  const table = [[[1, 1], [1, 1]], [[0, 2], [0, 2]]];
  assert.deepEqual(frames(table, 0, 2), [[-0.5, 1.5, 0.5, 1.5]]);
  assert.deepEqual(frames(table, 3, 3), []);
  assert.deepEqual(picks({ customdata: [1, 1], x: 9, y: 9 }), { layer: 1, head: 1 });
  const from = (layer, head, key, cells) => moves(key, { layer, head }, { customdata: cells });
  assert.deepEqual(from(0, 1, "ArrowRight", maps), { layer: 0, head: 0 }); // over the gap, into the other map
  assert.deepEqual(from(1, 1, "ArrowDown", table), { layer: 0, head: 2 });
  assert.deepEqual(from(1, 1, "ArrowRight", table), { layer: 1, head: 1 }); // nobody else in its row
  assert.deepEqual(from(5, 5, "ArrowDown", table), { layer: 1, head: 1 }); // not in the table: its first
});

test("a pair is a cell of a pattern: outlined, also in a part of it, and walked by arrow keys", () => {
  const { outlines, moves, picks } = panels.KINDS.pattern;
  const whole = { layout: { meta: { n_tokens: 9 } }, data: [{ x: Array(9), y: Array(9) }] };
  const cells = (shown, graph) => outlines(shown, "#b26a00", graph).map(({ x0, x1, y0, y1 }) => [x0, x1, y0, y1]);
  assert.deepEqual(cells({ pos: 4, key: 2 }, whole)[2], [1.5, 2.5, 3.5, 4.5]);
  assert.equal(cells({ pos: 4, key: null }, whole).length, 2);
  assert.equal(cells({ pos: 4, key: 12 }, whole).length, 2); // of a longer prompt
  const part = { layout: { meta: { n_tokens: 90, first_row: 40, first_column: 10 } }, data: [{ x: Array(8), y: Array(8) }] };
  assert.deepEqual(cells({ pos: 41, key: 12 }, part), [[1.5, 2.5, 0.5, 1.5]]);
  assert.deepEqual(cells({ pos: 41, key: 9 }, part), []);
  assert.deepEqual(picks({ pointNumber: [1, 2] }, part), { pos: 41, key: 12 });
  const go = (key, from) => moves(key, from, {}, whole);
  assert.deepEqual(go("ArrowLeft", { pos: 4, key: null }), { pos: 4, key: 3 }); // from the token and itself
  assert.deepEqual(go("ArrowUp", { pos: 4, key: 4 }), { pos: 3, key: 3 }); // no token looks at a later one
  assert.deepEqual(go("ArrowRight", { pos: 8, key: 8 }), { pos: 8, key: 8 });
  assert.deepEqual(go("Escape", { pos: 8, key: 8 }), { key: null });
  assert.equal(go("a", { pos: 8, key: 8 }), null);
});

test("a source is a head and a token that it looks at, from the token on screen", () => {
  const { outlines, picks, moves } = panels.KINDS.source;
  const trace = { customdata: [[2, 1, 4], [0, 3, 4], [2, 1, 0]] };
  const at = (shown) => outlines(shown, "#b26a00", { data: [trace] }).map(({ y0, y1 }) => [y0, y1]);
  assert.deepEqual(at({ layer: 2, head: 1, key: 0 }), [[1.5, 2.5]]);
  assert.deepEqual(at({ layer: 2, head: 1, key: null }), []);
  assert.deepEqual(picks({ customdata: [2, 1, 4] }, null, { pos: 7 }), { layer: 2, head: 1, pos: 7, key: 4 });
  assert.equal(picks({}, null, { pos: 7 }), null);
  const none = { pos: 7, layer: null, head: null, key: null };
  assert.deepEqual(moves("ArrowDown", none, trace), { layer: 2, head: 1, pos: 7, key: 4 });
  assert.deepEqual(moves("ArrowDown", { pos: 7, layer: 2, head: 1, key: 4 }, trace), { layer: 0, head: 3, pos: 7, key: 4 });
  assert.deepEqual(moves("ArrowDown", { pos: 7, layer: 2, head: 1, key: 0 }, trace), { layer: 2, head: 1, pos: 7, key: 0 });
  assert.deepEqual(moves("Escape", none, trace), { key: null });
});

test("lines: keys choose a token and what it looks at, clicks their ends", () => {
  const { outlines, picks, moves } = panels.KINDS.lines;
  const graph = { layout: { meta: { looks: true, partners: [2, 0, 4], n_tokens: 9 } }, data: [{ customdata: [0, 2, 4] }, { customdata: [0, 2, 4] }] };
  const ends = (shown) => outlines(shown, "#b26a00", graph).map(({ x0, y0 }) => [x0, y0]);
  assert.deepEqual(ends({ pos: 4, key: 2 }), [[-0.42, 1.5], [0.98, 0.5]]);
  assert.deepEqual(ends({ pos: 4, key: null }), [[-0.42, 1.5]]);
  const go = (key, from) => moves(key, from, {}, graph);
  assert.deepEqual(go("ArrowUp", { pos: 4 }), { pos: 3 });
  assert.deepEqual(go("ArrowDown", { pos: 8 }), { pos: 8 });
  assert.deepEqual(go("ArrowRight", { pos: 4, key: null }), { pos: 4, key: 2 }); // the strongest first
  assert.deepEqual(go("ArrowRight", { pos: 4, key: 2 }), { pos: 4, key: 0 });
  assert.deepEqual(go("ArrowLeft", { pos: 4, key: 2 }), { pos: 4, key: 2 });
  assert.deepEqual(picks({ curveNumber: 1, customdata: 2 }, graph, { pos: 4 }), { pos: 4, key: 2 });
  assert.deepEqual(picks({ curveNumber: 0, customdata: 2 }, graph, { pos: 4 }), { pos: 2 });
  assert.equal(picks({ curveNumber: 2 }, graph, { pos: 4 }), null);
});

test("the second token of a pair goes to the server beside the trace's key", () => {
  const selection = { pos: 4, key: 2 };
  const view = panels.viewOf(done, { theme: "light", text: 1, units: "nats", knobs: {}, selection }, ["pos", "key_pos"]);
  assert.equal(view.key, done.trace);
  assert.deepEqual([view.pos, view.key_pos], [4, 2]);
});

test("a click on a lens of the whole text selects the column, and once more the word", () => {
  const { picks } = panels.KINDS.lens;
  assert.deepEqual(picks({ x: 3, customdata: 262 }, null, { pos: 2, target: null }), { pos: 3 });
  assert.deepEqual(picks({ x: 3, customdata: 262 }, null, { pos: 3, target: null }), { target: 262 });
  assert.deepEqual(picks({ x: 3, customdata: 262 }, null, { pos: 3, target: 262 }), { target: null });
  assert.equal(picks({ x: 3, customdata: -1 }, null, { pos: 3, target: null }), null); // not computed yet
});

test("arrows go from column to column of a lens, and not out of it", () => {
  const { moves } = panels.KINDS.lens;
  const shown = { x: [4, 5, 6] };
  assert.deepEqual(moves("ArrowRight", { pos: 5 }, shown), { pos: 6 });
  assert.deepEqual(moves("ArrowLeft", { pos: 5 }, shown), { pos: 4 });
  assert.equal(moves("ArrowRight", { pos: 6 }, shown), null);
  assert.deepEqual(moves("Escape", { pos: 6 }, shown), { target: null });
  assert.equal(moves("x", { pos: 5 }, shown), null);
});

test("a bar of a neuron selects it, its layer with it, and arrows go from bar to bar", () => {
  const { picks, moves, outlines } = panels.KINDS.neuron;
  const shown = { customdata: [[2, 7], [0, 3], [1, 1]] };
  assert.deepEqual(picks({ customdata: [2, 7] }), { layer: 2, neuron: 7 });
  assert.deepEqual(moves("ArrowDown", { layer: 2, neuron: 7 }, shown), { layer: 0, neuron: 3 });
  assert.deepEqual(moves("ArrowUp", { layer: 2, neuron: 7 }, shown), { layer: 2, neuron: 7 });
  assert.deepEqual(moves("ArrowDown", { layer: null, neuron: null }, shown), { layer: 2, neuron: 7 });
  assert.deepEqual(moves("Escape", { layer: 2, neuron: 7 }, shown), { neuron: null });
  assert.equal(moves("x", { layer: 2, neuron: 7 }, shown), null);
  const [band] = outlines({ layer: 0, neuron: 3 }, "#b26a00", { data: [shown] });
  assert.deepEqual([band.y0, band.y1], [0.5, 1.5]);
  assert.deepEqual(outlines({ layer: 0, neuron: 9 }, "#b26a00", { data: [shown] }), []);
});

test("a cell of layers and tokens is selected by a click and walked by arrow keys", () => {
  const { outlines, picks, moves } = panels.KINDS.layer_pos;
  const graph = { layout: { meta: { cells: [3, 5] } } };
  assert.deepEqual(picks({ x: 4, y: 2 }), { pos: 4, layer: 2 });
  const step = (key, layer, pos) => moves(key, { layer, pos }, null, graph);
  assert.deepEqual(step("ArrowRight", 1, 2), { layer: 1, pos: 3 });
  assert.deepEqual(step("ArrowRight", 1, 4), { layer: 1, pos: 4 });
  assert.deepEqual(step("ArrowUp", 0, 4), { layer: 0, pos: 4 });
  assert.deepEqual(step("ArrowDown", null, 4), { layer: 0, pos: 4 });
  assert.deepEqual(step("ArrowDown", null, 9), { layer: 0, pos: 4 });
  assert.deepEqual(step("Escape", 1, 2), { layer: null, pos: null });
  assert.equal(step("a", 1, 2), null);
  const [box] = outlines({ layer: 1, pos: 2 }, "red");
  assert.deepEqual([box.x0, box.x1, box.y0, box.y1, box.yref], [1.5, 2.5, 0.5, 1.5, "y"]);
  assert.equal(outlines({ layer: null, pos: 2 }, "red")[0].yref, "paper");
  assert.deepEqual(outlines({ layer: 1, pos: null }, "red"), []);
});

test("a cell of one layer's heads and tokens selects that layer too", () => {
  const { picks, moves } = panels.KINDS.head_pos;
  const graph = { layout: { meta: { cells: [2, 5], layer: 7 } } };
  assert.deepEqual(picks({ x: 4, y: 1 }, graph), { pos: 4, head: 1, layer: 7 });
  assert.deepEqual(moves("ArrowLeft", { head: 1, pos: 3 }, null, graph), { head: 1, pos: 2, layer: 7 });
  assert.deepEqual(moves("Escape", { head: 1, pos: 3 }, null, graph), { head: null, pos: null, layer: null });
});

test("a column of a layer selects it, what stands before the layers selects nothing, and arrows go from layer to layer", () => {
  const { outlines, picks, moves } = panels.KINDS.layer;
  const graph = { layout: { meta: { n_layer: 3 } } };
  assert.deepEqual(picks({ customdata: 2 }), { layer: 2 });
  assert.equal(picks({ customdata: -1 }), null);
  const step = (key, layer) => moves(key, { layer }, null, graph);
  assert.deepEqual(step("ArrowRight", 1), { layer: 2 });
  assert.deepEqual(step("ArrowRight", 2), { layer: 2 });
  assert.deepEqual(step("ArrowLeft", null), { layer: 0 });
  assert.deepEqual(step("Escape", 1), { layer: null });
  assert.equal(step("ArrowUp", 1), null);
  const [band] = outlines({ layer: 1 }, "red");
  assert.deepEqual([band.x0, band.x1, band.yref], [0.5, 1.5, "paper"]);
  assert.deepEqual(outlines({ layer: null }, "red"), []);
});

test("a cell of a layer's neurons selects neuron, layer and token, and is walked by arrow keys", () => {
  const { outlines, picks, moves } = panels.KINDS.neuron_pos;
  const graph = { layout: { meta: { layer: 2, neurons: [412, 7, 30], cells: [3, 5] } } };
  assert.deepEqual(picks({ x: 4, y: 1 }, graph), { layer: 2, neuron: 7, pos: 4 });
  const step = (key, chosen) => moves(key, chosen, null, graph);
  assert.deepEqual(step("ArrowDown", { layer: 2, neuron: 7, pos: 3 }), { layer: 2, neuron: 30, pos: 3 });
  assert.deepEqual(step("ArrowDown", { layer: 2, neuron: 30, pos: 3 }), { layer: 2, neuron: 30, pos: 3 });
  assert.deepEqual(step("ArrowRight", { layer: 2, neuron: 30, pos: 3 }), { layer: 2, neuron: 30, pos: 4 });
  assert.deepEqual(step("ArrowLeft", { layer: null, neuron: null, pos: 3 }), { layer: 2, neuron: 412, pos: 3 });
  assert.deepEqual(step("ArrowDown", { layer: 1, neuron: 7, pos: 3 }), { layer: 2, neuron: 412, pos: 3 }); // 7 of another layer
  assert.deepEqual(step("Escape", { layer: 2, neuron: 7, pos: 3 }), { neuron: null });
  assert.equal(step("x", { layer: 2, neuron: 7, pos: 3 }), null);
  const [column, row] = outlines({ layer: 2, neuron: 30, pos: 1 }, "red", graph);
  assert.deepEqual([column.x0, column.x1, column.yref], [0.5, 1.5, "paper"]);
  assert.deepEqual([row.y0, row.y1, row.xref], [1.5, 2.5, "paper"]);
  assert.equal(outlines({ layer: 1, neuron: 30, pos: 1 }, "red", graph).length, 1);
  assert.equal(outlines({ layer: 2, neuron: 8, pos: 1 }, "red", graph).length, 1);
});

test("bytes are weights in equal steps, and 0 is none", () => {
  assert.deepEqual(panels.weightsOf(new Uint8Array([0, 1, 128, 255]), 254), [undefined, 0, 0.5, 1]);
});

test("a map of the vocabulary rings the selected token, squares the target, and a click chooses a target", () => {
  const graph = { layout: { meta: { token_ids: [2, 0] } }, _fullData: [{ x: [0.5, 1, 3], y: [5, 6, 7] }] };
  const places = (shown) => panels.KINDS.words.outlines(shown, "#b26a00", graph).map((each) => [each.type, each.xanchor, each.yanchor]);
  assert.deepEqual(places({ pos: 0, target: 1 }), [["circle", 3, 7], ["rect", 1, 6]]);
  assert.deepEqual(places({ pos: null, target: null }), []);
  assert.deepEqual(places({ pos: 1, target: 99 }), [["circle", 0.5, 5]]);
  const pick = (point, target = null) => panels.KINDS.words.picks(point, graph, { target });
  assert.deepEqual(pick({ curveNumber: 0, pointNumber: 2 }), { target: 2 });
  assert.deepEqual(pick({ curveNumber: 1, pointNumber: 0, customdata: 7 }), { target: 7 });
  assert.deepEqual(pick({ curveNumber: 1, pointNumber: 0, customdata: 7 }, 7), { target: null });
  assert.equal(pick({ curveNumber: 4, pointNumber: 0 }), null);
  assert.deepEqual(panels.KINDS.words.moves("Escape"), { target: null });
});

test("keys move and zoom a map about its middle", () => {
  const ranges = { x: [0, 10], y: [-10, 10] };
  assert.deepEqual(panels.movedView("ArrowRight", ranges), { x: [1.5, 11.5], y: [-10, 10] });
  assert.deepEqual(panels.movedView("ArrowUp", ranges), { x: [0, 10], y: [-7, 13] });
  assert.deepEqual(panels.movedView("+", ranges), { x: [1, 9], y: [-8, 8] });
  const back = panels.movedView("-", panels.movedView("+", ranges));
  [0, 10, -10, 10].forEach((end, i) => assert.ok(Math.abs([...back.x, ...back.y][i] - end) < 1e-9));
  assert.equal(panels.movedView("Tab", ranges), null);
});

test("a selection concerns a panel that reads a field in which it differs", () => {
  const one = { slot: "a", pos: 3, key: null, layer: 2, head: 1, neuron: null, target: null, against: null };
  assert.ok(panels.concerns(["pos"], one, { ...one, pos: 4 }));
  assert.ok(!panels.concerns(["layer", "head"], one, { ...one, pos: 4 }));
  assert.ok(panels.concerns(["key_pos"], one, { ...one, key: 2 })); // a view's key is its trace's
  assert.ok(panels.concerns(["pos"], one, { ...one, slot: "b" })); // the same place in another text
  assert.ok(panels.concerns(["layer"], null, one));
  for (const reads of [[""], ["n_prompt"], ["drawn_with", "branches"]]) assert.ok(!panels.concerns(reads, null, one));
});
