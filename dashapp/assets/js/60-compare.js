/**
 * Two prompts beside each other: which token of one stands for which of the other, and the page Compare.
 * Knows alignments and slots; knows nothing of figures.
 *
 * An alignment is what the server makes of two traces: {a, b: their keys; b_of_a, a_of_b: position → position of the
 * counterpart, −1 where there is none; is_same: of each token of a, whether its counterpart is the same token; pins: what
 * of it a person decided, as 62-alignment.js writes it}.
 */
(function () {
  "use strict";

  const FIELDS = ["prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "bos", "stop_at_end", "model"];
  const EXAMPLE = { prompt: "Once upon a time, there was a little", word: "little", instead: "big" }; // the bundled one
  const MARKS = ["unaligned", "replaced"];

  const ours = () => window.dash_clientside;
  const otherOf = (slot) => (slot === "a" ? "b" : "a");

  /**
   * The token that stands for another one.
   * @param {object|null} alignment @param {string} slot - in which pos is @param {number} pos
   * @returns {number|null|undefined} null where it has no counterpart; undefined where nothing is known of it
   */
  function counterpart(alignment, slot, pos) {
    const others = alignment && (slot === "a" ? alignment.b_of_a : alignment.a_of_b);
    if (!others || !Number.isInteger(pos) || pos >= others.length) return undefined;
    return others[pos] < 0 ? null : others[pos];
  }

  /**
   * Where the chosen token stands in a slot: itself, or its counterpart.
   * @param {object|null} selection @param {string} slot
   * @param {object|null} alignment @param {string|undefined} key - of the slot's trace; an alignment of another is old
   * @returns {number|null|undefined} null where it has no counterpart there; undefined where none is chosen or known
   */
  function posIn(selection, slot, alignment, key) {
    if (!selection || !Number.isInteger(selection.pos)) return undefined;
    if (selection.slot === slot) return selection.pos;
    return alignment && alignment[slot] === key ? counterpart(alignment, selection.slot, selection.pos) : undefined;
  }

  /**
   * Why a panel of a slot cannot show what is selected; "" where it can.
   * @param {string} slot @param {object} shown - what of the selection the slot shows: pos, layer, head
   * @param {object} selection @param {string[]} reads - what of it the panel reads
   */
  function absence(slot, shown, selection, reads) {
    if (reads.includes("pos") && shown.pos === null) {
      return `The selected token of ${otherOf(slot)} has no counterpart in ${slot}. Select one that has.`;
    }
    const isLacking = (part) => selection && reads.includes(part) && Number.isInteger(selection[part]) && shown[part] === null;
    const lacks = ["layer", "head"].find(isLacking);
    return lacks ? `The model of ${slot} has no ${lacks} ${selection[lacks]}.` : "";
  }

  /**
   * What stands beside a panel of a slot: the other slot's trace, and what of the selection it shows; null where it can
   * show nothing.
   */
  function beside(slot, runA, runB, selection, alignment, reads) {
    const [other, run] = slot === "a" ? ["b", runB] : ["a", runA];
    if (!run || run.phase !== "done") return null;
    const shown = ours().shell.shown(run, other, selection, alignment);
    return absence(other, shown, selection, reads) ? null : { key: run.trace, selection: { ...shown, n_prompt: run.nPrompt, drawn_with: run.settings || null, branches: ours().tree.branchesOf(run) } };
  }

  /** Why a panel of pairs cannot be shown; "" where it can. Its own slot is a, the other one b. */
  function pairAbsence(runB, selection, alignment, reads) {
    if (!runB || runB.phase === "nothing") return "Needs a second prompt. Type one under b and press Generate.";
    if (runB.phase === "failed") return "Needs a second prompt, and the run of b did not finish.";
    if (runB.phase !== "done") return "Waiting for the second prompt";
    return absence("b", ours().shell.shown(runB, "b", selection, alignment), selection, reads);
  }

  /** How each token of a slot is marked: "same", "replaced" or "unaligned". */
  function kinds(alignment, slot) {
    const others = slot === "a" ? alignment.b_of_a : alignment.a_of_b;
    const isSame = (pos, other) => alignment.is_same[slot === "a" ? pos : other];
    return others.map((other, pos) => (other < 0 ? "unaligned" : isSame(pos, other) ? "same" : "replaced"));
  }

  // What Dash's clientside callbacks call --------------------------------------------------------------------------------

  /**
   * The keys of two traces to align, what is decided of it, and whether an alignment of them is known, to which one
   * returns where that does not fit; null until both are there.
   */
  function pair(runA, runB, _told, alignment, before) {
    const isReady = [runA, runB].every((run) => run && run.phase === "done");
    const next = isReady ? { a: runA.trace, b: runB.trace, pins: ours().shell.pinned(), is_known: pairIs(alignment, runA, runB) } : null;
    const asks = (one) => one && JSON.stringify([one.a, one.b, one.pins]);
    return asks(next) === asks(before || null) ? ours().no_update : next;
  }

  /** What is decided of the alignment of two runs; null where it is not known whether it fits. */
  function pinsOf(alignment, runA, runB) {
    if (pairIs(alignment, runA, runB)) return alignment.pins || "";
    return ours().shell.pinned() ? null : "";
  }

  /** Which two tokens are compared: of each slot its trace, and the place of the selection in it. */
  function compared(selection, runA, runB, alignment, before) {
    if (!pairIs(alignment, runA, runB)) return ours().no_update;
    const pos = (run, slot) => ours().shell.shown(run, slot, selection, alignment).pos;
    const next = { a: runA.trace, b: runB.trace, pos_a: pos(runA, "a"), pos_b: pos(runB, "b"), pins: alignment.pins };
    return JSON.stringify(next) === JSON.stringify(before) ? ours().no_update : next;
  }

  function pairIs(alignment, runA, runB) {
    const isOf = (run, slot) => Boolean(run) && run.phase === "done" && run.trace === alignment[slot];
    return Boolean(alignment) && isOf(runA, "a") && isOf(runB, "b");
  }

  /** Mark in both strips the tokens without a counterpart, and those with another one; in figures the first alone. */
  function mark(alignment, runA, runB) {
    const isKnown = pairIs(alignment, runA, runB);
    const lone = {};
    for (const slot of ["a", "b"]) {
      const strip = document.getElementById(`token-strip-${slot}`);
      const found = isKnown ? kinds(alignment, slot) : [];
      markStrip(strip, found, otherOf(slot));
      lone[slot] = found.flatMap((kind, pos) => (kind === "unaligned" ? [pos] : []));
    }
    ours().panels.tellLone(lone);
  }

  function markStrip(strip, found, other) {
    const words = { unaligned: `no counterpart in ${other}`, replaced: `another token in ${other}` };
    strip.childNodes.forEach((token, pos) => {
      const kind = found[pos];
      MARKS.forEach((mark) => token.classList.toggle(mark, mark === kind));
      if (words[kind]) token.setAttribute("aria-description", words[kind]);
      else token.removeAttribute("aria-description");
    });
  }

  /** A knob changed in one slot: the other's follows. */
  function link(values, ids) {
    const { triggered } = ours().callback_context;
    const changed = ids.findIndex((id) => triggered.length === 1 && triggered[0].prop_id === `${idText(id)}.value`);
    return values.map((value) => (changed < 0 || value === values[changed] ? ours().no_update : values[changed]));
  }

  /** Two knobs that mean one thing: what one is set to, the other is too. */
  function same(...values) {
    const { triggered } = ours().callback_context;
    const value = triggered.length === 1 ? triggered[0].value : undefined;
    return values.map((each) => (value === undefined || each === value ? ours().no_update : value));
  }

  /** An id as Dash writes it: its keys in alphabetical order. */
  function idText(id) {
    return JSON.stringify(Object.fromEntries(Object.entries(id).sort(([one], [other]) => (one < other ? -1 : 1))));
  }

  /** Which panels are open, once a person has chosen, kept for the address. @param {string[][]} lists - one a page */
  function keepOpen(lists) {
    ours().shell.keepKnobs("compare", { open: lists.flat().join(".") }, {});
  }

  /**
   * Open the panel behind one of pairs, for both prompts, and go there.
   * @param {string[][]} lists - what is open, one a page @param {{value: string}[][]} options - what can be, likewise
   */
  function openBehind(_clicks, lists, options) {
    const { triggered } = ours().callback_context;
    if (triggered.length !== 1 || !triggered[0].value) return lists.map(() => ours().no_update);
    const { opens } = JSON.parse(triggered[0].prop_id.slice(0, triggered[0].prop_id.lastIndexOf(".")));
    goTo(idText({ type: "pair", panel: opens }));
    return lists.map((list, i) => {
      const isThere = options[i].some(({ value }) => value === opens);
      return isThere && !list.includes(opens) ? [...list, opens] : ours().no_update;
    });
  }

  /** Scroll to a pair of panels once they stand there, and give its first heading the focus. */
  function goTo(id) {
    const pair = document.getElementById(id);
    const arrive = () => {
      const heading = pair.querySelector("h2");
      if (!heading) return false;
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
      pair.scrollIntoView({ block: "start" });
      return true;
    };
    if (arrive()) return;
    const observer = new MutationObserver(() => arrive() && observer.disconnect());
    observer.observe(pair, { childList: true, subtree: true });
  }

  /** Whether there is a second prompt; whether an example of one is not offered; what cannot be copied or swapped now. */
  function offers(requestA, requestB, runA, runB) {
    if (requestA && !requestB) follow(requestA);
    const isBusy = [runA, runB].some(ours().runs.isBusy);
    const hasExample = Boolean(requestA) && exampleOf(requestA.prompt) !== null;
    return [Boolean(requestB), Boolean(requestB) || !hasExample, isBusy || !requestA, isBusy || !requestA || !requestB];
  }

  let followed = null; // the request of a whose settings b has taken: what a person sets after that stays

  /** Until b has a prompt of its own, its settings are those of a: only the prompts should differ. */
  function follow(requestA) {
    if (followed === requestA.id || document.getElementById("prompt-b").value) return;
    followed = requestA.id;
    write("b", { ...requestA, prompt: "" });
  }

  /** The bundled example with one word changed; null of any other prompt. */
  function exampleOf(prompt) {
    return prompt === EXAMPLE.prompt ? prompt.replace(EXAMPLE.word, EXAMPLE.instead) : null;
  }

  /** The buttons: an example, a copy to be edited, and the prompts in each other's place. */
  function fill(nExample, nCopy, nSwap, requestA, requestB, selection) {
    switch (ours().callback_context.triggered[0].prop_id) {
      case "compare-example.n_clicks":
        ask("b", { ...requestA, prompt: exampleOf(requestA.prompt), file: undefined });
        break;
      case "compare-copy.n_clicks":
        write("b", requestA);
        document.getElementById("prompt-b").focus();
        break;
      case "compare-swap.n_clicks":
        ours().shell.turnPins(requestA, requestB);
        ask("a", requestB);
        ask("b", requestA);
        if (selection && Number.isInteger(selection.pos)) ours().shell.choose({ slot: otherOf(selection.slot) });
    }
  }

  /** The prompt on screen beside itself: with <|endoftext|> in front, and without. */
  function withAndWithout(request) {
    if (!request) return;
    ask("b", { ...request, bos: !request.bos, file: undefined });
    openPage();
  }

  /** Go to the page Compare, as a click on its link does. */
  function openPage() {
    document.querySelector("nav.pages a[href^='/compare']").click();
  }

  function ask(slot, request) {
    write(slot, request);
    ours().set_props(`request-${slot}`, { data: { ...request, id: ours().shell.newId() } });
  }

  /** Put a request's values into a slot's form. */
  function write(slot, request) {
    const fields = ours().tree.isWhole(request) ? FIELDS.filter((field) => field !== "max_new_tokens") : FIELDS;
    for (const field of fields) ours().set_props(`${field.replaceAll("_", "-")}-${slot}`, { value: request[field] });
  }

  const compare = { counterpart, posIn, absence, pairAbsence, beside, kinds, pair, pinsOf, pairIs, compared, mark, link, same, idText, keepOpen, openBehind, offers, exampleOf, fill, withAndWithout, ask, openPage };
  if (typeof module !== "undefined") module.exports = compare;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { compare });
})();
