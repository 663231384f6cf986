"use strict";

const test = require("node:test");
const assert = require("node:assert/strict");
const takeaway = require("../../dashapp/assets/js/80-takeaway.js");

const LOOKS = { paper: "#fff", ink: "#111", muted: "#666", fonts: "@font-face{}" };
const FIGURE = '<svg class="main-svg" width="300" height="200"><g/></svg>';

test("a text is broken where it has no more room", () => {
  assert.deepEqual(takeaway.wrapped("one two three", 7, (line) => line.length), ["one two", "three"]);
  assert.deepEqual(takeaway.wrapped("extraordinary a", 5, (line) => line.length), ["extraordinary", "a"]);
  assert.deepEqual(takeaway.wrapped(" \n ", 5, (line) => line.length), []);
});

test("a picture has title and question above the figure and the foot below it", () => {
  const said = { title: ["One head"], question: ["Which?"], foot: ["Rows sum to 1.", "More."] };
  const { svg, width, height } = takeaway.framed(FIGURE, { width: 300, height: 200 }, said, LOOKS);
  const heights = [...svg.matchAll(/<text x="\d+" y="([\d.]+)"/g)].map((found) => Number(found[1]));
  const start = Number(/<svg x="16" y="([\d.]+)"/.exec(svg)[1]);
  assert.equal(width, 332);
  assert.ok(heights[0] < heights[1] && heights[1] < start);
  assert.ok(heights[2] > start + 200 && heights[3] > heights[2] && heights[3] < height);
});

test("a figure without a foot ends at its margin", () => {
  const { height } = takeaway.framed(FIGURE, { width: 300, height: 200 }, { title: [], question: [], foot: [] }, LOOKS);
  assert.equal(height, 232);
});

test("what a panel says cannot become markup of a picture", () => {
  const said = { title: ['<script>"&'], question: [], foot: [] };
  const { svg } = takeaway.framed(FIGURE, { width: 300, height: 200 }, said, LOOKS);
  assert.ok(svg.includes("&#60;script&#62;&#34;&#38;"));
});

const RUN = { trace: "abc", nPrompt: 3, settings: { seed: 1 } };
const SHOWN = { slot: "a", pos: 2, key: 1, layer: 0, head: null, neuron: null, target: null, isChosen: true };
const VIEW = { key: "abc", theme: "dark", text: 1.25, units: "nats", narrow: false, knobs: {} };

test("a page is asked for as it looks, with what each slot shows", () => {
  const panels = [
    { panel: "far", slot: "a", view: null, why: "Select one." },
    { panel: "near", slot: "a", view: VIEW, why: "" },
  ];
  const asked = takeaway.pageAsked("Attention", panels, { a: { run: RUN, shown: SHOWN } });
  assert.deepEqual(asked.looks, { theme: "dark", text: 1.25, units: "nats", narrow: false });
  assert.deepEqual(asked.panels, panels);
  assert.deepEqual(asked.prompts, {
    a: {
      key: "abc",
      n_prompt: 3,
      settings: { seed: 1 },
      selected: { pos: 2, key_pos: 1, layer: 0, head: null, neuron: null, target: null, against: null },
    },
  });
});

test("a page that shows nothing asks for nothing", () => {
  assert.equal(takeaway.pageAsked("Compare", [{ panel: "x", slot: "a", view: null, why: "No." }], {}), null);
});

test("a page of two prompts names what is decided of their alignment, a page of one does not", () => {
  const panels = [{ panel: "x", slot: "a", view: VIEW, why: "" }];
  const prompt = { run: RUN, shown: SHOWN };
  assert.equal(takeaway.pageAsked("Compare", panels, { a: prompt, b: prompt }, "3-4").pins, "3-4");
  assert.equal(takeaway.pageAsked("Attention", panels, { a: prompt }, "3-4").pins, "");
});

test("the name of a file is what the server says, and no path", () => {
  assert.equal(takeaway.fileName('attachment; filename="gelu-12ab.csv"'), "gelu-12ab.csv");
  assert.equal(takeaway.fileName('attachment; filename="../x"'), "figure");
  assert.equal(takeaway.fileName(null), "figure");
});
