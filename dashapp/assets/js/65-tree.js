/**
 * The tree of continuations: which other texts of a prompt there are, and opening one: by a click in the figure or by a
 * button below it, here or beside the text on screen.
 *
 * What the server tells of a tree: {key, root, start: ids after the prompt up to the root, nodes: [{kind, depth, path: of
 * which path, or null, tokens: ids after the root, text, prob}], paths: [{kind, key: of a branch's trace, tokens, text,
 * total}]}. kind: shown | branch | beam | alternative.
 */
(function () {
  "use strict";

  const MOST = 12; // branches of a prompt that are remembered; the server takes no more

  const ours = () => window.dash_clientside;

  /** What makes two requests ask about the same prompt. */
  function promptOf({ prompt, bos, model }) {
    return JSON.stringify([prompt, bos, model]);
  }

  /** The texts that this page has shown, by prompt. */
  function newMemory() {
    const texts = new Map(); // key of a trace → {prompt, request, nTyped}

    /** A run is done. The first request for a text is kept: it says how the text was drawn. */
    function remember(request, run) {
      const { request: first = request } = texts.get(run.trace) || {};
      texts.delete(run.trace);
      texts.set(run.trace, { prompt: promptOf(request), request: first, nTyped: run.nPrompt - (request.then || []).length });
    }

    /** The other texts of the prompt of a run, the newest last, and how many of its tokens were typed; or null. */
    function of(run) {
      const here = run && texts.get(run.trace);
      if (!here) return null;
      const isOther = ([key, { prompt, request }]) => prompt === here.prompt && key !== run.trace && !request.file; // which anybody can have written
      const keys = [...texts].filter(isOther).map(([key]) => key);
      return { n_typed: here.nTyped, keys: keys.slice(-MOST) };
    }

    const requestOf = (key) => (texts.get(key) || {}).request || null;
    return { remember, of, requestOf };
  }

  const memory = newMemory();

  /**
   * The request for a way to go on from a text: a branch as it was drawn, an alternative drawn on from, a beam as it is.
   * @param {function(string): object|null} requestOf - the request of a trace
   * @param {object} tree @param {{kind: string, tokens: number[], key: string|undefined}} way
   */
  function requestFor(requestOf, tree, { kind, tokens, key }) {
    const known = key && requestOf(key);
    const request = requestOf(tree.key);
    if (known || !request) return known || null;
    const then = [...tree.start, ...tokens];
    const { file: _file, ...asked } = request; // what is drawn is computed here
    return { ...asked, then, ancestor: tree.key, max_new_tokens: kind === "alternative" ? request.max_new_tokens : 0 };
  }

  /** Whether a request only shows a text that is there, as a beam: its 0 new tokens are no wish for the next prompt. */
  function isWhole({ then, max_new_tokens, file }) {
    return Boolean((then && then.length) || file) && max_new_tokens === 0;
  }

  /** What a mark stands for: a whole text, where it is of one, or a token to go on with. */
  function wayOf(tree, place) {
    const node = tree.nodes[place];
    return node.path === null ? node : tree.paths[node.path];
  }

  /** What a click on a mark does. @returns {object|null} what of the selection it chooses */
  function picked(tree, place, slot) {
    if (place < 0) return { pos: tree.root };
    const node = tree.nodes[place];
    if (node.kind === "shown") return { pos: tree.root + node.depth };
    open(tree, wayOf(tree, place), slot);
    return null;
  }

  function open(tree, way, slot) {
    const request = requestFor(memory.requestOf, tree, way);
    if (request) ours().shell.branch(slot, request);
  }

  /** Show a way beside what stands in a, on the page Compare. */
  function sendBeside(tree, way) {
    const request = requestFor(memory.requestOf, tree, way);
    if (request) ours().compare.ask("b", request);
  }

  // The buttons ----------------------------------------------------------------------------------------------------------

  const NAMES = { shown: "On screen", branch: "Branch", beam: "Beam" };

  function button(label, act, name) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "quiet";
    made.textContent = label;
    if (name) made.setAttribute("aria-label", name);
    made.addEventListener("click", act);
    return made;
  }

  /** List below the figure what can be done with its tree: the same as by clicks, by keyboard too. */
  function list(figure) {
    const tree = ((figure && figure.layout && figure.layout.meta) || {}).tree;
    const here = document.getElementById("tree-actions");
    if (here) here.replaceChildren(...(tree ? [alternatives(tree), ...texts(tree)] : []));
  }

  function alternatives(tree) {
    const line = document.createElement("p");
    line.append("Branch with ");
    const likely = tree.nodes.filter((node) => node.kind === "alternative");
    for (const node of likely) line.append(button(`${node.text} ${node.prob}`, () => open(tree, node, "a"), `Branch with ${node.text}, ${node.prob}`), " ");
    return likely.length ? line : "";
  }

  function texts(tree) {
    if (!tree.paths.length) return [];
    const rows = document.createElement("ul");
    rows.append(...tree.paths.map((path, i) => row(tree, path, nameOf(tree.paths, i))));
    const compare = document.createElement("p");
    compare.append(button("See a and b in Compare", () => ours().compare.openPage()));
    return [rows, compare];
  }

  /** "Beam 2": a path among those of its kind. */
  function nameOf(paths, i) {
    const { kind } = paths[i];
    return kind === "shown" ? NAMES.shown : `${NAMES[kind]} ${paths.slice(0, i + 1).filter((each) => each.kind === kind).length}`;
  }

  function row(tree, path, name) {
    const made = document.createElement("li");
    const text = document.createElement("bdi");
    text.textContent = path.text;
    made.append(`${name}, ${path.total}: `, text, " ");
    if (path.kind !== "shown") made.append(button("Open as a", () => open(tree, path, "a"), `Open ${name} as a`), " ");
    const send = button("Send to b", (event) => sent(event.currentTarget, tree, path), `Send ${name} to b`);
    send.title = "b is the second prompt, which the page Compare sets beside this one";
    made.append(send);
    return made;
  }

  function sent(pressed, tree, path) {
    sendBeside(tree, path);
    for (const each of document.querySelectorAll("#tree-actions [data-sent]")) {
      delete each.dataset.sent;
      each.textContent = "Send to b";
    }
    pressed.dataset.sent = "b";
    pressed.textContent = "Sent to b";
  }

  const tree = {
    ...{ newMemory, requestFor, isWhole, wayOf, nameOf, picked, list },
    ...{ remember: memory.remember, branchesOf: memory.of },
  };
  if (typeof module !== "undefined") module.exports = tree;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { tree });
})();
