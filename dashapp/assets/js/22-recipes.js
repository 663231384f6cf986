/**
 * Prompts that are too long for an address: the server keeps them under a key, and the address carries the key.
 * Knows texts and keys; asks and tells through what it is given.
 */
(function () {
  "use strict";

  const PATIENCE = 10000; // ms after which what was not answered is asked again

  /**
   * @param {{keep: function(object), open: function(string)}} ask - what asks the server
   * @param {function(object)} tell - says an error
   * @param {function(): number} clock - ms
   */
  function newShelf(ask, tell, clock) {
    const keys = new Map(); // text → key
    const texts = new Map(); // key → text; null: the server has none
    const asked = new Map(); // text or key → when it was asked about; Infinity: an error was told, and that is that
    let serial = 0;
    const mayAsk = (what) => !(clock() - asked.get(what) < PATIENCE);

    /** The key of a text; null while the server is asked, where it cannot keep it, or is not to be asked. */
    function keyOf(text, isWorthKeeping = true) {
      if (isWorthKeeping && !keys.has(text) && mayAsk(text)) {
        asked.set(text, clock());
        ask.keep({ id: (serial += 1), text });
      }
      return keys.get(text) || null;
    }

    /** The text of a key; undefined while the server is asked, null where it has none. */
    function textOf(key) {
      if (!texts.has(key) && mayAsk(key)) {
        asked.set(key, clock());
        ask.open(key);
      }
      return texts.get(key);
    }

    /** The server has kept a text, or said why not. Whether there is a new key. @param {object} about - what it was asked */
    function kept({ id, text }, answer) {
      if (id !== answer.id) return false; // it answers an earlier question
      if (answer.key) {
        keys.set(text, answer.key);
        texts.set(answer.key, text);
        return true;
      }
      asked.set(text, Infinity);
      tell(answer);
      return false;
    }

    /** The server has found a text, or said that it has none. Whether there is a new text. */
    function opened(answer) {
      const isHere = typeof answer.text === "string";
      texts.set(answer.key, isHere ? answer.text : null);
      if (isHere) keys.set(answer.text, answer.key);
      else tell(answer);
      return isHere;
    }

    return { keyOf, textOf, kept, opened };
  }

  const ours = () => window.dash_clientside;
  const set = (store) => (data) => ours().set_props(store, { data });
  const shelf = newShelf(
    { keep: set("recipe-to-keep"), open: set("recipe-to-open") },
    (error) => ours().toasts.say(error),
    () => Date.now()
  );

  /** Dash brings the server's answers; what waits for them goes on. */
  function kept(answer, about) {
    if (answer && shelf.kept(about, answer)) ours().shell.refresh();
  }

  function opened(answer) {
    if (answer && shelf.opened(answer)) ours().set_props("restore", { data: answer.key });
  }

  const recipes = { newShelf, keyOf: shelf.keyOf, textOf: shelf.textOf, kept, opened, PATIENCE };
  if (typeof module !== "undefined") module.exports = recipes;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { recipes });
})();
