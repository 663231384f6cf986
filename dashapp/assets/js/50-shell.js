/**
 * Between the page and the pure functions of the other files: what Dash's clientside callbacks call, and listeners.
 */
(function () {
  "use strict";

  const FIELDS = ["prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "bos", "stop_at_end", "model"];
  const EXAMPLE_PROMPT = "Once upon a time, there was a little";
  const THEME_KEY = "dashapp-theme";
  const TEXT_KEY = "dashapp-text";
  const SAID_MS = 2000; // how long a button says what it has done

  // What is on screen. Dash's callbacks write it; listeners, which Dash does not call, read it.
  const runs = { a: null, b: null };
  const forPanels = { a: null, b: null }; // what panels were told of them last
  const requests = { a: null, b: null };
  const live = { a: null, b: null }; // the states of their runs: refused ones too, which `runs` has not
  const kept = { a: null, b: null }; // {request, run} of the last run that was done, where none has failed since
  const stays = new Map(); // id of a request that was refused → the one whose run stays on screen
  const knobs = {}; // "panel.knob" → value, of those that are not as at first
  let chosen = null; // the selection
  let alignment = null; // of the tokens of both runs
  let pins = ""; // what a person decided of it: of these two texts
  const texts = { a: null, b: null }; // what tells each slot's text from another
  let past = []; // earlier ones, which Undo brings back
  let forgotten = null; // the selection before a prompt took its token away, until that prompt is taken
  let isPlaceKept = false; // whether what is on screen has a step of its own already
  // The address of a link, or that Back or Forward led to, until both slots have read it: panels may write meanwhile.
  let returning = typeof window === "undefined" ? null : window.location.search;
  let isUntold = false; // whether Dash has not been told of the selection as it is

  const ours = () => window.dash_clientside;
  const same = () => window.dash_clientside.no_update;
  const element = (name, slot) => document.getElementById(slot ? `${name}-${slot}` : name);
  const strip = (slot) => element("token-strip", slot);
  const asked = () => {
    const { triggered } = window.dash_clientside.callback_context;
    return triggered.length ? triggered[0].prop_id.split(".")[0].replace(/-[ab]$/, "") : "";
  };

  /** 32 hexadecimal digits that nobody can guess. */
  function newId() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** The request in a form's values, in the order of FIELDS. */
  function formRequest(values) {
    return Object.fromEntries(FIELDS.map((name, i) => [name, values[i]]));
  }

  /** Whether two requests ask for the same; ids differ always. */
  function isSameRequest(one, other) {
    if (!one || !other || String(one.then || "") !== String(other.then || "") || (one.file || null) !== (other.file || null)) return false;
    return FIELDS.every((name) => one[name] === other[name]);
  }

  // A slot's request and run -------------------------------------------------------------------------------------------

  /** Generate, Stop, Retry, Cut; and at the start, after a link or after Back, what the address says. */
  function start(nGo, nRetry, nCut, restored, search, ...rest) {
    const values = rest.slice(0, FIELDS.length);
    const [slot, request, run] = rest.slice(FIELDS.length);
    const keep = FIELDS.map(same);
    switch (asked()) {
      case "go":
        if (ours().runs.canStop(run)) return [same(), run.id, ...keep];
        keepPlace();
        forgetToken(slot);
        return [{ ...formRequest(values), prompt: values[0] || "", id: newId() }, same(), ...keep];
      case "retry":
        return [{ ...request, id: newId() }, same(), ...keep];
      case "cut": {
        const shorter = { ...request, then: undefined, file: undefined, prompt: run.cut, id: newId() };
        return [shorter, same(), run.cut, ...keep.slice(1)];
      }
      default:
        return opened(slot, values, request);
    }
  }

  /** Another text of the same prompt, in a slot; the form stays as it is. A step, like a new prompt. */
  function branch(slot, request) {
    keepPlace();
    ours().set_props(`request-${slot}`, { data: { ...request, id: newId() } });
  }

  /** A request that was made before, in a slot and its form. A step, like a new prompt. */
  function openRequest(slot, request) {
    keepPlace();
    forgetToken(slot);
    ours().compare.ask(slot, request);
  }

  /** A new prompt is a step: Back returns to what is on screen now. */
  function keepPlace() {
    if (requests.a && !isPlaceKept) window.history.pushState(window.history.state, "", window.location.href);
  }

  /** What the address asks for. The bundled example, where it asks for nothing and nothing was asked before. */
  function opened(slot, values, request) {
    const found = ours().link.read(returning ?? window.location.search, ours().recipes.textOf);
    if (slot === "b") returning = null; // both have read it
    if (found.recipe) return [same(), same(), ...FIELDS.map(same)]; // the server is asked, or has said that it has none
    const example = slot === "a" && !request ? {} : null;
    const fields = found[slot] || example;
    if (slot === "a") restore(found);
    const keep = FIELDS.map(same);
    if (!fields) return [same(), same(), ...keep];
    const wanted = { ...formRequest(values), prompt: EXAMPLE_PROMPT, stop_at_end: true, ...fields };
    if ([request, asShown(named(request), runs[slot])].some((known) => isSameRequest(wanted, known))) return [same(), same(), ...keep];
    texts[slot] = textOf(wanted); // the edits of the address are of it
    requests[slot] = { ...wanted, id: newId() }; // for the address, which may be written before Dash tells of it
    const filled = ours().tree.isWhole(wanted) ? { ...wanted, max_new_tokens: same() } : wanted;
    return [requests[slot], same(), ...FIELDS.map((name) => filled[name])];
  }

  /** Take over the selection and the knobs of an address. */
  function restore({ a, b, selection, knobs: told, pins: decided }) {
    const says = a || b || !ours().selection.isEmpty(selection);
    const next = ours().selection.inModel(selection, shape(runs.a));
    Object.assign(knobs, told);
    if (b && decided !== pins) {
      pins = decided;
      if (a && texts.a === textOf(a) && texts.b === textOf(b)) alignAnew(); // other texts are aligned once they are there
    }
    if (chosen && (!says || ours().selection.isSame(chosen, next))) return;
    past = [];
    show(next);
  }

  /** Another prompt has other tokens. */
  function forgetToken(slot) {
    if (!chosen || chosen.slot !== slot) return;
    forgotten = chosen;
    chosen = ours().selection.changed(chosen, { pos: null, key: null });
    isUntold = true;
  }

  // Edits of the alignment ---------------------------------------------------------------------------------------------

  let nTold = 0;

  /** A person decided something of the alignment, or took it back: all that is decided now. @param {string} decided */
  function pin(decided) {
    pins = decided;
    alignAnew();
    writeAddress();
  }

  /** Let `compare.pair` ask the server for the alignment of the runs on screen. */
  function alignAnew() {
    ours().set_props("pins", { data: (nTold += 1) });
  }

  const pinned = () => pins;

  /** What tells the text of a request from another one, whatever was drawn after it. */
  const textOf = ({ prompt, bos, then }) => JSON.stringify([prompt, bos, then || []]);

  /** Edits belong to two texts: another one has none. */
  function keepPins(slot, request) {
    const text = textOf(request);
    if (texts[slot] !== null && texts[slot] !== text) pins = "";
    texts[slot] = text;
  }

  /** Both prompts are about to be in each other's place, and so is what is decided of them. */
  function turnPins(requestA, requestB) {
    pins = ours().alignment.turned(pins);
    Object.assign(texts, { a: textOf(requestB), b: textOf(requestA) });
  }

  /** Let in: its job may start, and is asked for its first token. */
  function admitted(answer, slot) {
    if (!answer || answer.kind !== "admitted") return same();
    ours().early.watch(answer.id, (told) => begun(slot, told));
    return answer.request;
  }

  function finished(result, slot) {
    if (result) ours().set_props(`finished-${slot}`, { data: result });
  }

  const watched = new Map(); // the last states of runs by id, with the signs of life that nothing draws

  /** The state of a run: drawn in the strip at once, told on to the prompt bar when it looks different, and to panels. */
  function state(request, answer, progress, done, running, stop, pulse, drawn, slot) {
    const before = (request && watched.get(request.id)) || drawn;
    const next = ours().runs.state({ request, answer, progress, finished: done, running, stop, pulse }, before);
    if (!watched.has(next.id) && watched.size > 3) watched.clear();
    watched.set(next.id, next);
    if (next.phase === "done") {
      ours().tree.remember(request, next);
      ours().history.remember(asShown(request, next));
      kept[slot] = { request, run: next };
    }
    live[slot] = next;
    const isNews = request && (!before || before.id !== next.id || before.phase !== next.phase);
    if (isNews && next.isRefused && kept[slot]) stay(slot, next);
    else if (isNews && next.phase !== "asking") taken(slot, request, next);
    runs[slot] = stays.has(next.id) ? kept[slot].run : next;
    drawTokens(slot);
    tellPanels(slot, asked() === "pulse");
    return looksSame(next, drawn) ? same() : next;
  }

  /** A request was refused: the run before it stays on screen, with its selected token and its address. */
  function stay(slot, { id }) {
    stays.set(id, kept[slot].request);
    runs[slot] = kept[slot].run;
    isPlaceKept = true; // by the request that was refused
    if (forgotten && forgotten.slot === slot) {
      chosen = forgotten;
      isUntold = false;
    }
    ours().set_props(`prompt-differs-${slot}`, { hidden: false });
    refresh();
  }

  /** A request was not refused: what it is about takes the place of what was there. */
  function taken(slot, request, { phase }) {
    keepPins(slot, request);
    if (phase === "failed") kept[slot] = null;
    if (forgotten && forgotten.slot === slot) forgotten = null;
    isPlaceKept = false;
  }

  /** A request; where it was refused, the one whose run stays on screen. */
  const named = (request) => (request && stays.get(request.id)) || request;

  /** What a job has told already, before Dash hands it on. @returns {boolean} whether its run still waits for it */
  function begun(slot, told) {
    const run = watched.get(told.id);
    if (!run || run !== runs[slot] || !ours().runs.isBusy(run)) return false;
    if (told.tokens.length <= run.tokens.length) return true;
    runs[slot] = { ...run, tokens: told.tokens, nPrompt: told.n_prompt };
    watched.set(told.id, runs[slot]);
    drawTokens(slot);
    afterPaint(() => ours().set_props(`progress-${slot}`, { data: told }));
    return true;
  }

  /** Panels hear of a run after its strip is drawn: what they do then holds it up. */
  function tellPanels(slot, isLate) {
    const next = ours().runs.forPanels(runs[slot], forPanels[slot], isLate);
    if (next === forPanels[slot]) return;
    forPanels[slot] = next;
    afterPaint(() => {
      if (forPanels[slot] !== next) return;
      ours().set_props(`run-${slot}`, { data: next });
      if (isUntold) tell(); // of a token that was forgotten, now that panels have other things to draw than its run
      isUntold = false;
      ours().panels.callAll();
    });
  }

  /** Do something that keeps the browser busy once what was drawn can be seen; a tab in the background paints nothing. */
  function afterPaint(then) {
    if (document.hidden) setTimeout(then, 0);
    else requestAnimationFrame(() => setTimeout(then, 0));
  }

  function looksSame(one, other) {
    const drawn = (run) => JSON.stringify({ ...run, sign: null, since: null });
    return Boolean(other) && drawn(one) === drawn(other);
  }

  function ask(pulse, run, request) {
    return run && run.phase === "queued" ? { ...request } : same();
  }

  /** Whether the clock may rest. */
  function rest(runA, runB) {
    return ![runA, runB].some(ours().runs.isBusy);
  }

  /** Button, bar, sentence and failure of a slot's run. */
  function draw(run, slot) {
    const isBusy = ours().runs.isBusy(run);
    const canStop = ours().runs.canStop(run);
    const failure = run && run.phase === "failed" ? `${run.rule} ${run.instance} ${run.remedy}` : "";
    const bar = element("slot", slot);
    if (run && run.phase === "done" && bar.dataset.phase !== "done") fold(bar);
    bar.dataset.phase = run ? run.phase : "nothing";
    bar.dataset.run = run && run.id ? run.id : "";
    element("go", slot).classList.toggle("stops", canStop);
    const share = run && run.phase === "running" ? run.share : 0;
    const isRefused = Boolean(run && run.isRefused);
    offerInstead(run, slot);
    ours().files.mark(slot, runs[slot]);
    return [
      canStop ? "Stop" : "Generate",
      !isBusy,
      String(share),
      ours().runs.sentence(run),
      !failure,
      failure,
      isRefused,
      !(isRefused && run.cut),
    ];
  }

  /** A run that its model stood in the way of: who could run it instead; null for any other. */
  function insteadOf(run, request) {
    if (!run || run.phase !== "failed" || !request) return null;
    if (request.file) return request.model; // which may be here though the file is not
    return run.error === "OtherWeights" ? request.model : run.instead || null;
  }

  function offerInstead(run, slot) {
    const [button, request] = [element("instead", slot), requests[slot]];
    const model = insteadOf(run, request);
    button.hidden = !model;
    if (!model) return;
    if (request.file) button.textContent = "Run its prompt here instead";
    else button.textContent = model === request.model ? "Run it with the weights that are here" : `Run it with ${model}`;
  }

  function runInstead(slot) {
    const model = insteadOf(live[slot], requests[slot]);
    if (model) openRequest(slot, { ...requests[slot], model, weights: undefined, file: undefined });
  }

  /** The text as far as it is known, with the token marked that panels show; figures follow in `select`. */
  function drawTokens(slot) {
    const run = runs[slot];
    ours().tokens.render(strip(slot), run.tokens, run.nPrompt);
    markToken(slot, shown(run, slot, chosen, alignment));
  }

  function markToken(slot, selection) {
    ours().tokens.highlight(strip(slot), selection.pos, selection.isChosen, selection.key);
    ours().strip.follow(slot, runs[slot], selection);
  }

  /**
   * Show one line of a prompt that stands in the strip, until it is edited. Not when the focus leaves it: what a
   * person is just clicking on would move away.
   */
  function fold(bar) {
    if (document.activeElement.matches(`#${bar.id} :is(textarea, .typed *)`)) return;
    bar.classList.add("folded");
    bar.classList.remove("typing");
  }

  function compareForm(...values) {
    const request = named(values[FIELDS.length]);
    const form = formRequest(values);
    const isSame = !request || ((form.prompt || "") === request.prompt && form.model === request.model);
    return [isSame, summary(form)];
  }

  /** The sampler's settings in one line. */
  function summary(form) {
    const shown = (value) => (Number.isFinite(value) ? value : "–"); // an emptied field is null or NaN
    const parts = [form.model, `${shown(form.max_new_tokens)} new`, `T ${shown(form.temperature)}`];
    if (form.top_k !== 0) parts.push(`top-k ${shown(form.top_k)}`);
    if (form.top_p !== 1) parts.push(`top-p ${shown(form.top_p)}`);
    parts.push(`seed ${shown(form.seed)}`);
    if (!form.bos) parts.push("no <|endoftext|>");
    if (form.stop_at_end === false) parts.push("past <|endoftext|>");
    if (form.file) parts.push("from a file; not computed here");
    return parts.join(" · ");
  }

  // The selection ------------------------------------------------------------------------------------------------------

  /** How many layers, heads and neurons the model of a run has; before any run, the loaded model's. */
  function shape(run) {
    if (run && run.model && run.model.n_layer) return run.model;
    const { layers, heads, neurons } = element("model-chip").dataset;
    return { n_layer: Number(layers), n_head: Number(heads), d_mlp: Number(neurons) };
  }

  /**
   * The selection as a slot shows it: its own token, or the one that stands for that of the other slot, or by default
   * the end of its prompt.
   * @returns {object} the selection, pos null where the slot has no tokens or none that stands for the chosen one;
   *   isChosen: whether a person chose it
   */
  function shown(run, slot, selected, aligned) {
    const { selection, compare, runs: of } = ours();
    const now = selected || selection.NOTHING;
    const place = (pos) => compare.posIn({ ...now, pos }, slot, aligned, run ? run.trace : null);
    const wanted = place(now.pos);
    const pos = wanted === null ? null : of.position(run, wanted);
    const second = place(now.key);
    const key = Number.isInteger(second) && run && second < run.tokens.length ? second : null;
    return { ...selection.inModel(now, shape(run)), slot, pos, key, isChosen: Number.isInteger(wanted) };
  }

  /** The selection in words, in strips and figures, in the address, and in the links to other pages. */
  function select(selected, _runA, _runB, pathname, requestA, requestB, aligned, links) {
    const { selection } = ours();
    chosen = chosen || selected || selection.NOTHING; // Dash is told last of what was chosen, see `show`
    alignment = aligned;
    Object.assign(requests, { a: requestA, b: requestB });
    highlight();
    fillLists();
    element("shell").dataset.page = pathname;
    markPage(pathname);
    const query = writeAddress();
    ours().vocabulary.show(chosen);
    return [sentence(), selection.isEmpty(chosen), !past.length, links.map(({ path }) => linkTo(path, query))];
  }

  function linkTo(path, query) {
    const [page, fragment] = path.split("#");
    return page + query + (fragment ? `#${fragment}` : "");
  }

  /** In strips and figures, at once. */
  function highlight() {
    const selections = { a: shown(runs.a, "a", chosen, alignment), b: shown(runs.b, "b", chosen, alignment) };
    for (const slot of ["a", "b"]) markToken(slot, selections[slot]);
    // Figures of a run that has given way to another are about to be hidden: to redraw them would hold up its text.
    const isDrawn = (slot) => runs[slot] && runs[slot].phase === "done";
    ours().panels.highlight(Object.fromEntries(["a", "b"].filter(isDrawn).map((slot) => [slot, selections[slot]])));
  }

  function sentence() {
    const { selection, tokens } = ours();
    const slot = chosen.slot === "b" && runs.b ? "b" : "a";
    const run = runs[slot];
    const here = shown(run, slot, chosen, alignment);
    if (here.pos === null) return "";
    const named = (pos) => `token ${pos} ${tokens.quoted(run.tokens[pos])}`;
    const second = Number.isInteger(here.key) && here.key < run.tokens.length ? named(here.key) : "";
    const part = `${here.pos < run.nPrompt ? "of the prompt" : "generated"}${slot === "b" ? " in b" : ""}`;
    return selection.sentence(here, { token: named(here.pos), second, part, isChosen: here.isChosen });
  }

  /** The lists of layers and heads, and a neuron's number: those of the model on screen, the selected ones shown. */
  function fillLists() {
    const { n_layer, n_head, d_mlp } = shape(runs.a);
    const now = ours().selection.inModel(chosen, { n_layer, n_head, d_mlp });
    const neuron = element("selection-neuron");
    ours().set_props("selection-neuron", { max: d_mlp - 1, value: now.neuron });
    fillList(element("selection-layer"), n_layer, now.layer);
    fillList(element("selection-head"), n_head, now.head);
  }

  function fillList(list, n, value) {
    if (list.options.length !== n + 1) {
      const numbers = Array.from({ length: n }, (_, i) => new Option(String(i), String(i)));
      list.replaceChildren(new Option("none", ""), ...numbers);
    }
    list.value = value === null ? "" : String(value);
  }

  /** A layer, head or neuron chosen. A head or a neuron is of some layer: the first, where none is chosen. */
  function chooseFromList(list) {
    const value = list.value === "" ? null : Number(list.value);
    const part = list.id.replace("selection-", "");
    if (value !== null && list.validity && !list.validity.valid) list.reportValidity(); // a neuron the layer has not
    else if (part === "layer") choose({ layer: value });
    else choose({ [part]: value, layer: value !== null && chosen.layer === null ? 0 : chosen.layer });
  }

  /**
   * A person chose a token, a head, or with null none; what is not named stays as it is.
   * @param {object} fields - of the selection
   */
  function choose(fields) {
    const next = ours().selection.changed(chosen, fields);
    past = ours().selection.remembered(past, chosen, next);
    show(next);
  }

  function undo() {
    if (past.length) show(past.pop());
  }

  /** Highlight at once; then come the strips' weights, and then what follows through Dash, which takes long. */
  function show(next) {
    chosen = next;
    if (runs.a) highlight();
    ours().strip.afterWeights(() => {
      const before = told;
      tell();
      ours().panels.follow(before, chosen);
    });
  }

  let told = null; // the selection that Dash knows

  function tell() {
    told = chosen;
    ours().set_props("selection", { data: chosen });
  }

  // The address --------------------------------------------------------------------------------------------------------

  /** Keep the knobs of a panel that are not as at first, for the address. */
  function keepKnobs(panel, values, defaults) {
    for (const [name, value] of Object.entries(values)) {
      if (value === defaults[name]) delete knobs[`${panel}.${name}`];
      else knobs[`${panel}.${name}`] = value;
    }
    writeAddress();
  }

  /** Write the view into the address, and return its query string. */
  function writeAddress() {
    const onScreen = { a: named(requests.a), b: named(requests.b) };
    const canRun = ["a", "b"].every((slot) => !onScreen[slot] || isTaken(runs[slot], onScreen[slot]));
    const linked = { a: asShown(onScreen.a, runs.a), b: asShown(onScreen.b, runs.b) };
    const query = ours().link.write(linked, chosen, knobs, (text) => ours().recipes.keyOf(text, canRun), pins);
    if (requests.a && returning === null && query !== window.location.search) {
      window.history.replaceState(window.history.state, "", window.location.pathname + query + window.location.hash);
    }
    return query;
  }

  /**
   * A request as a link names it, once its run is known: with the weights that made it, so that others hear when theirs
   * differ, and of a run that a person stopped with as many new tokens as there are.
   */
  function asShown(request, run) {
    if (!request || !run || run.id !== request.id || !run.model) return request;
    const cut = run.stop === "person" ? { max_new_tokens: run.tokens.length - run.nPrompt } : {};
    return { ...request, ...cut, weights: run.model.fingerprint.slice(0, 12) };
  }

  /** Whether the server has taken a request: what it refuses, a megabyte of text for one, needs no link. */
  function isTaken(run, request) {
    return Boolean(run) && run.id === request.id && run.phase !== "asking" && !run.isRefused;
  }

  /** Write address and links anew: a key for them has come. */
  function refresh() {
    if (chosen) show({ ...chosen }); // Dash takes no notice of the same object
  }

  function markPage(pathname) {
    for (const each of document.querySelectorAll("nav.pages a")) {
      const isHere = new URL(each.href).pathname === pathname;
      if (isHere) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
  }

  async function share(button) {
    const label = "Copy link";
    try {
      await navigator.clipboard.writeText(window.location.href);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Copy it from the address bar"; // over plain http a browser may not let a page copy
    }
    setTimeout(() => (button.textContent = label), SAID_MS);
  }

  /** The link itself leads there; the list closes, and what there is to see is said until the next prompt. */
  function openExample(link) {
    link.closest("details").open = false;
    hint(link.parentElement.querySelector("small").textContent);
  }

  function hint(text) {
    element("hint", "a").textContent = text;
  }

  // How the page looks -------------------------------------------------------------------------------------------------

  function theme(nClicks, before) {
    const kept = ours().kept.read(THEME_KEY);
    const preferred = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    let now = before || (kept === "light" || kept === "dark" ? kept : preferred);
    if (asked() === "theme-button" && nClicks) {
      now = now === "dark" ? "light" : "dark";
      ours().kept.write(THEME_KEY, now);
    }
    document.documentElement.dataset.bsTheme = now;
    return [now, now === "dark" ? "Light" : "Dark"];
  }

  /** How large text is: what was chosen, and at the start what was chosen last. */
  function textSize(value, options, before) {
    const kept = ours().kept.read(TEXT_KEY);
    const isKept = options.some((option) => option.value === kept);
    const now = before === undefined && isKept ? kept : value;
    ours().kept.write(TEXT_KEY, now);
    document.documentElement.style.setProperty("--text", now);
    return [Number(now), now];
  }

  /** Listeners of the document, which outlive what Dash redraws. */
  function listen() {
    document.addEventListener("click", (event) => {
      const { id } = event.target;
      if (id === "selection-clear") choose(ours().selection.NOTHING);
      if (id === "selection-undo") undo();
      if (id === "share") share(event.target);
      if (id === "go-a") hint("");
      if (id === "instead-a" || id === "instead-b") runInstead(id.slice(-1));
      if (id === "bos-both") ours().compare.withAndWithout(requests.a);
      if (event.target.matches("#examples a")) openExample(event.target);
    });
    document.addEventListener("change", (event) => {
      if (event.target.matches("#selection-layer, #selection-head, #selection-neuron")) chooseFromList(event.target);
    });
    document.addEventListener("focusin", (event) => {
      if (!event.target.matches("#prompt-a, #prompt-b")) return;
      const { classList } = event.target.closest(".prompt-bar");
      classList.remove("folded");
      classList.add("typing");
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      if (event.target.matches("#prompt-a, #prompt-b")) element("go", event.target.id.slice(-1)).click();
    });
    window.addEventListener("popstate", () => {
      returning = window.location.search;
      ours().set_props("restore", { data: returning });
    });
    new MutationObserver((_, observer) => {
      if (!strip("b")) return;
      observer.disconnect();
      for (const slot of ["a", "b"]) ours().tokens.listen(strip(slot), (pos) => choose({ slot, pos }));
      ours().panels.watch();
    }).observe(document.documentElement, { childList: true, subtree: true });
  }

  const shell = {
    ...{ newId, formRequest, isSameRequest, insteadOf, asShown, summary, linkTo },
    ...{ start, admitted, finished, state, ask, rest, draw, compareForm, select, shown, keepKnobs, choose, pin, pinned, turnPins, branch, openRequest, refresh, theme, textSize },
  };
  if (typeof module !== "undefined") module.exports = shell;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { shell });
    listen();
  }
})();
