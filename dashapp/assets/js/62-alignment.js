/**
 * How the tokens of two prompts are aligned, drawn pair by pair, and edited by hand.
 * Knows alignments and edits; knows nothing of traces or figures.
 *
 * Edits are a text, as the server's `Pins` reads it: "3-4.a5.b7" pairs token 3 of a with token 4 of b, and leaves token 5
 * of a and token 7 of b alone. An alignment is what 60-compare.js says. A column is {a, b, kind}: positions, null where
 * the other token is alone; kind: "same", "replaced" or "alone".
 */
(function () {
  "use strict";

  const LONG = 6; // columns of the same tokens in a row, from which on one cell stands for them
  const SIGNS = { same: "=", replaced: "≠", alone: "·" };
  const HELP = "Choose a token of one prompt, then the one of the other that stands for it.";

  const ours = () => window.dash_clientside;
  const otherOf = (slot) => (slot === "a" ? "b" : "a");
  const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

  // Edits --------------------------------------------------------------------------------------------------------------

  const parts = (pins) => (pins ? pins.split(".") : []);

  /** Whether an edit is of a token. */
  function isOf(part, slot, pos) {
    const [i, j] = part.split("-");
    return j === undefined ? part === `${slot}${pos}` : Number(slot === "a" ? i : j) === pos;
  }

  /** The edits in the server's order: pairs, then tokens of a and of b that stay alone. */
  function ordered(found) {
    const rank = (part) => (part.includes("-") ? 0 : part[0] === "a" ? 1 : 2);
    const place = (part) => Number(/\d+/.exec(part)[0]);
    return [...found].sort((one, other) => rank(one) - rank(other) || place(one) - place(other)).join(".");
  }

  /** The edits without those of a token. */
  function dropped(pins, slot, pos) {
    return ordered(parts(pins).filter((part) => !isOf(part, slot, pos)));
  }

  /** With two tokens that stand for each other; what was decided of either before is gone. */
  function paired(pins, posA, posB) {
    return ordered([...parts(dropped(dropped(pins, "a", posA), "b", posB)), `${posA}-${posB}`]);
  }

  /** With a token that stands for none. */
  function alone(pins, slot, pos) {
    return ordered([...parts(dropped(pins, slot, pos)), `${slot}${pos}`]);
  }

  const isEdited = (pins, slot, pos) => parts(pins).some((part) => isOf(part, slot, pos));

  /** The same edits with the prompts in each other's place. */
  function turned(pins) {
    const turn = (part) => (part.includes("-") ? part.split("-").reverse().join("-") : otherOf(part[0]) + part.slice(1));
    return ordered(parts(pins).map(turn));
  }

  // What is drawn ------------------------------------------------------------------------------------------------------

  /** An alignment column by column, in the order of both prompts; of tokens alone at one place, those of a first. */
  function columns({ b_of_a: ofA, a_of_b: ofB, is_same: isSame }) {
    const found = [];
    let [i, j] = [0, 0];
    while (i < ofA.length || j < ofB.length) {
      if (i < ofA.length && ofA[i] < 0) found.push({ a: i++, b: null, kind: "alone" });
      else if (j < ofB.length && ofB[j] < 0) found.push({ a: null, b: j++, kind: "alone" });
      else found.push({ a: i, b: j++, kind: isSame[i++] ? "same" : "replaced" });
    }
    return found;
  }

  /**
   * The same with one item for each long run of the same tokens that nobody edited or opened: {folds: its columns}.
   * @param {object[]} all - columns @param {string} pins @param {Set<number>} opened - positions in a
   */
  function folded(all, pins, opened) {
    const items = [];
    let run = [];
    const end = () => {
      items.push(...(run.length >= LONG ? [{ folds: run }] : run));
      run = [];
    };
    for (const column of all) {
      const isPlain = column.kind === "same" && !opened.has(column.a) && !isEdited(pins, "a", column.a);
      if (isPlain) run.push(column);
      else {
        end();
        items.push(column);
      }
    }
    end();
    return items;
  }

  /** A token's place in words, for who cannot see the columns. @param {{a: string[], b: string[]}} texts */
  function spoken({ a, b, kind }, slot, texts, isPinned) {
    const pos = slot === "a" ? a : b;
    const other = otherOf(slot);
    const of = (where, at) => ours().tokens.spoken(texts[where][at], at, false);
    const stands = {
      same: () => `the same as token ${slot === "a" ? b : a} of ${other}`,
      replaced: () => `stands for ${of(other, slot === "a" ? b : a)} of ${other}`,
      alone: () => `no counterpart in ${other}`,
    };
    return `${slot}, ${of(slot, pos)}; ${stands[kind]()}${isPinned ? ", edited by hand" : ""}`;
  }

  // The editor ---------------------------------------------------------------------------------------------------------

  let known = null; // the alignment on screen, its texts, items, and what of it is opened
  let chosen = null; // {slot, pos}
  let said = ""; // what the last act did

  const element = (id) => document.getElementById(id);
  const make = (tag, className, text = "") => Object.assign(document.createElement(tag), { className, textContent: text });
  const named = (slot, pos) => `token ${pos} ${ours().tokens.quoted(known.texts[slot][pos])} of ${slot}`;
  const buttonsOf = (slot) => [...element("align-pairs").querySelectorAll(`[data-slot="${slot}"], [data-fold]`)];
  const cellOf = ({ slot, pos }) => element("align-pairs").querySelector(`[data-slot="${slot}"][data-pos="${pos}"]`);

  /** A sign that labels say in words. */
  function unspoken(sign) {
    sign.setAttribute("aria-hidden", "true");
    return sign;
  }

  /** Draw the alignment of both runs; whether there is none to draw. */
  function draw(alignment, runA, runB) {
    const isThere = ours().compare.pairIs(alignment, runA, runB);
    if (!isThere) {
      [known, chosen] = [null, null];
      element("align-refused").textContent = ""; // of a pair that is gone
      return true;
    }
    const isNew = !known || known.alignment.a !== alignment.a || known.alignment.b !== alignment.b;
    if (isNew) [chosen, said] = [null, ""];
    known = { alignment, texts: { a: runA.tokens, b: runB.tokens }, opened: isNew ? new Set() : known.opened };
    redraw();
    return false;
  }

  function redraw() {
    const place = element("align-pairs");
    const { activeElement } = document;
    const focus = place.contains(activeElement) ? { ...activeElement.dataset } : null;
    const { alignment, opened } = known;
    known.items = folded(columns(alignment), alignment.pins, opened);
    place.replaceChildren(...known.items.map(drawItem));
    const first = place.querySelector("button");
    const wanted = (focus && focus.slot && cellOf(focus)) || first;
    if (wanted) wanted.tabIndex = 0;
    if (focus && wanted) wanted.focus({ preventScroll: true });
    tell();
  }

  function drawItem(item, at) {
    if (!item.folds) return drawColumn(item);
    const n = item.folds.length;
    const fold = make("button", "align-fold", `${n} the same`);
    const [{ a: from }, { a: to }] = [item.folds[0], item.folds[n - 1]];
    fold.setAttribute("aria-label", `${n} tokens are the same, ${from} to ${to} of a: show them`);
    Object.assign(fold, { type: "button", tabIndex: -1 });
    fold.dataset.fold = String(at);
    return fold;
  }

  function drawColumn(column) {
    const { pins } = known.alignment;
    const isPinned = ["a", "b"].some((slot) => column[slot] !== null && isEdited(pins, slot, column[slot]));
    const holder = make("div", `align-column ${column.kind}${isPinned ? " pinned" : ""}`);
    const sign = make("span", "align-sign", isPinned ? `${SIGNS[column.kind]}✎` : SIGNS[column.kind]);
    holder.append(drawCell(column, "a", isPinned), unspoken(sign), drawCell(column, "b", isPinned));
    return holder;
  }

  function drawCell(column, slot, isPinned) {
    const pos = column[slot];
    if (pos === null) return unspoken(make("span", "align-none", "–"));
    const cell = make("button", "align-cell");
    ours().tokens.write(cell, known.texts[slot][pos]);
    Object.assign(cell, { type: "button", tabIndex: -1 });
    Object.assign(cell.dataset, { slot, pos: String(pos) });
    cell.setAttribute("aria-label", spoken(column, slot, known.texts, isPinned));
    return cell;
  }

  /** What is chosen, what was done, and which buttons can be pressed. */
  function tell() {
    const { pins } = known.alignment;
    for (const cell of buttonsOf("a").concat(buttonsOf("b"))) {
      if (!cell.dataset.slot) continue;
      const isChosen = Boolean(chosen) && cell.dataset.slot === chosen.slot && Number(cell.dataset.pos) === chosen.pos;
      cell.setAttribute("aria-pressed", String(isChosen));
    }
    element("align-alone").disabled = !chosen;
    element("align-cancel").disabled = !chosen;
    element("align-drop").disabled = !chosen || !isEdited(pins, chosen.slot, chosen.pos);
    element("align-undo").disabled = !pins;
    const edits = pins ? `${counted(parts(pins).length, "edit")} by hand.` : "Nothing is edited.";
    const asks = chosen ? `Chosen: ${named(chosen.slot, chosen.pos)}. Now choose the token of ${otherOf(chosen.slot)} that stands for it.` : "";
    element("align-said").textContent = asks || [said || HELP, edits].join(" ");
  }

  function edit(pins, words) {
    [chosen, said] = [null, words];
    element("align-refused").textContent = "";
    if (pins === known.alignment.pins) tell();
    else ours().shell.pin(pins);
  }

  function choose(slot, pos) {
    element("align-refused").textContent = "";
    if (chosen && chosen.slot !== slot) {
      const [posA, posB] = slot === "b" ? [chosen.pos, pos] : [pos, chosen.pos];
      const words = `${capital(named("a", posA))} stands for ${named("b", posB)}.`;
      return edit(paired(known.alignment.pins, posA, posB), words);
    }
    chosen = chosen && chosen.pos === pos ? null : { slot, pos };
    tell();
  }

  const capital = (words) => words[0].toUpperCase() + words.slice(1);

  function open(fold) {
    const { folds } = known.items[Number(fold.dataset.fold)];
    for (const { a } of folds) known.opened.add(a);
    redraw();
    focusOn(cellOf({ slot: "a", pos: folds[0].a }));
  }

  function focusOn(button) {
    for (const each of element("align-pairs").querySelectorAll("[tabindex='0']")) each.tabIndex = -1;
    button.tabIndex = 0;
    button.focus();
  }

  /** The acts of the buttons below the pairs. */
  const ACTS = {
    "align-alone": () => {
      const { slot, pos } = chosen;
      edit(alone(known.alignment.pins, slot, pos), `${capital(named(slot, pos))} stands for none.`);
    },
    "align-drop": () => edit(dropped(known.alignment.pins, chosen.slot, chosen.pos), `${capital(named(chosen.slot, chosen.pos))} is as it was.`),
    "align-cancel": () => {
      chosen = null;
      tell();
    },
    "align-undo": () => edit("", "All edits are undone."),
  };

  /** The button that a key leads to: along a prompt, or to the other one in the same column or the nearest. */
  function beside(key, from) {
    const slot = from.dataset.slot || "a";
    const row = buttonsOf(slot);
    if (key in { ArrowUp: 1, ArrowDown: 1 }) {
      const wanted = key === "ArrowUp" ? "a" : "b";
      if (!from.dataset.slot || wanted === slot) return null;
      const items = [...element("align-pairs").children];
      const at = items.indexOf(from.parentElement);
      const away = (button) => Math.abs(items.indexOf(button.dataset.slot ? button.parentElement : button) - at);
      return buttonsOf(wanted).reduce((best, each) => (away(each) < away(best) ? each : best));
    }
    const to = ours().tokens.moved(key, row.indexOf(from), row.length);
    return to === null ? null : row[to];
  }

  function pressed(event) {
    const from = event.target.closest("#align-pairs button");
    if (!from || !known || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape" && chosen) ACTS["align-cancel"]();
    else if (event.key === "Delete" && from.dataset.slot) {
      chosen = { slot: from.dataset.slot, pos: Number(from.dataset.pos) };
      ACTS["align-alone"]();
    } else {
      const to = beside(event.key, from);
      if (!to) return;
      focusOn(to);
    }
    event.preventDefault();
  }

  function clicked({ target }) {
    if (!known) return;
    const button = target.closest("#align-pairs button");
    if (button && button.dataset.fold) open(button);
    else if (button) {
      const { slot, pos } = button.dataset;
      focusOn(button);
      choose(slot, Number(pos));
    } else if (target.id in ACTS) ACTS[target.id]();
  }

  /** Edits that do not fit: back to those that hold, with the reason. */
  function refused(answer, alignment) {
    if (!answer || answer.pins !== ours().shell.pinned()) return;
    said = "";
    ours().shell.pin(alignment ? alignment.pins : "");
    const place = element("align-refused");
    if (place) place.textContent = answer.says;
    if (known) tell();
  }

  const alignment = { dropped, paired, alone, turned, isEdited, columns, folded, spoken, draw, refused };
  if (typeof module !== "undefined") module.exports = alignment;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { alignment });
    document.addEventListener("click", clicked);
    document.addEventListener("keydown", pressed);
  }
})();
