/**
 * The prompts that were run in this browser: kept here and nowhere else, opened again in either slot.
 * Knows requests and the browser's store; knows nothing of runs.
 */
(function () {
  "use strict";

  const KEY = "dashapp-history";
  const MOST = 100; // entries
  const LARGEST = 1000000; // characters of all of them; a browser gives 5 million to everything here
  const LONGEST_NAME = 120; // characters
  const SHOWN = 90; // characters of a prompt in the list
  const NO_ROOM = "This browser keeps nothing for this page, or has no more room.";

  /** What of an entry makes it the same prompt under the same settings. */
  const sameness = ({ id, weights, ancestor, ...request }) => JSON.stringify(Object.entries(request).sort());

  const isEntry = (entry) =>
    Boolean(entry) && typeof entry.id === "string" && Number.isFinite(entry.at) && Boolean(entry.request) && typeof entry.request.prompt === "string" && typeof entry.request.model === "string";

  /** The pinned first, and of each kind the newest first. */
  const ordered = (entries) => [...entries].sort((one, other) => Number(Boolean(other.isPinned)) - Number(Boolean(one.isPinned)) || other.at - one.at);

  /** As many as are kept: what goes is the oldest that is not pinned. */
  function within(entries) {
    const kept = ordered(entries).slice(0, MOST);
    while (kept.length > 1 && JSON.stringify(kept).length > LARGEST) kept.pop();
    return kept;
  }

  /**
   * @param {{getItem: function(string): string|null, setItem: function(string, string), removeItem: function(string)}} storage
   * @param {function(): number} clock - ms
   * @param {function(): string} newId
   */
  function newHistory(storage, clock, newId) {
    /** All entries in the order in which they are listed; what somebody else wrote there is left out. */
    function all() {
      try {
        const found = JSON.parse(storage.getItem(KEY) || "[]");
        return Array.isArray(found) ? ordered(found.filter(isEntry)) : [];
      } catch {
        return [];
      }
    }

    /** Whether they could be kept: a browser may have no room, or none for this page. */
    function write(entries) {
      try {
        if (entries.length) storage.setItem(KEY, JSON.stringify(within(entries)));
        else storage.removeItem(KEY);
        return true;
      } catch {
        return false;
      }
    }

    /** A request was run. One that was run before is listed anew, with its name and pin. */
    function remember({ id: _id, ancestor: _ancestor, ...request }) {
      const before = all();
      const known = before.find((entry) => sameness(entry.request) === sameness(request));
      const entry = { ...(known || { id: newId() }), at: clock(), request };
      return write([entry, ...before.filter((each) => each !== known)]);
    }

    const change = (id, fields) => write(all().map((entry) => (entry.id === id ? { ...entry, ...fields } : entry)));

    return {
      all,
      remember,
      pin: (id, isPinned) => change(id, { isPinned }),
      rename: (id, name) => change(id, { name: name.trim().slice(0, LONGEST_NAME) }),
      remove: (id) => write(all().filter((entry) => entry.id !== id)),
      clear: () => write([]),
      restore: write,
    };
  }

  /** What an entry is called in the list: its name, or how its prompt begins. */
  function titleOf({ name, request }) {
    const text = name || request.prompt.replace(/\s+/g, " ").trim();
    if (!text) return "(an empty prompt)";
    return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
  }

  // The page -----------------------------------------------------------------------------------------------------------

  const ours = () => window.dash_clientside;
  const element = (id) => document.getElementById(id);
  let kept = null; // made when it is first needed
  const told = new Set(); // ids of requests whose runs were remembered
  let removed = null; // the list before the last removal, for Undo
  let hasRoom = true; // whether the last run could be kept

  function ofThisBrowser() {
    kept ||= newHistory(window.localStorage, Date.now, ours().shell.newId);
    return kept;
  }

  /** A run is complete. @param {object} request - with the weights that it was made with */
  function remember(request) {
    if (!request || told.has(request.id)) return;
    told.add(request.id);
    hasRoom = ofThisBrowser().remember(request);
    if (!hasRoom) say(NO_ROOM);
    list();
  }

  function say(text) {
    if (element("history-said")) element("history-said").textContent = text;
  }

  /** Draw the list, where it is open; the button of an entry that had the focus has it again. */
  function list() {
    const here = element("history-list");
    if (!here || !element("history").open) return;
    const had = document.activeElement && here.contains(document.activeElement) ? document.activeElement.dataset : null;
    const entries = ofThisBrowser().all();
    here.replaceChildren(...entries.map(row));
    element("history-none").hidden = entries.length > 0;
    element("history-clear").hidden = !entries.length;
    element("history-undo").hidden = !removed;
    if (had) focus(had.entry, had.does);
  }

  function focus(id, does) {
    const found = document.querySelector(`#history-list [data-entry="${id}"][data-does="${does}"]`);
    (found || document.querySelector("#history-list button") || element("history-undo")).focus();
  }

  function row(entry) {
    const made = document.createElement("li");
    const title = titleOf(entry);
    const text = document.createElement("bdi");
    text.className = "history-title";
    text.textContent = title;
    const when = document.createElement("time");
    when.dateTime = new Date(entry.at).toISOString();
    when.textContent = new Date(entry.at).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
    const facts = document.createElement("small");
    facts.append(ours().shell.summary(entry.request), " · ", when);
    const buttons = document.createElement("span");
    buttons.className = "history-buttons";
    buttons.append(
      button(entry, "open-a", "Open in a", title),
      button(entry, "open-b", "Open in b", title),
      button(entry, "pin", "Pin", title, entry.isPinned),
      button(entry, "rename", "Rename", title),
      button(entry, "delete", "Delete", title)
    );
    made.append(text, facts, buttons);
    return made;
  }

  function button({ id }, does, label, title, isPressed) {
    const made = document.createElement("button");
    made.type = "button";
    made.className = "quiet";
    made.textContent = label;
    made.setAttribute("aria-label", `${label}: ${title}`);
    made.title = SLOTS[does] || "";
    if (does === "pin") made.setAttribute("aria-pressed", String(Boolean(isPressed)));
    Object.assign(made.dataset, { entry: id, does });
    return made;
  }

  const SLOTS = {
    "open-a": "a is the first prompt, which every page shows",
    "open-b": "b is the second prompt, which the page Compare sets beside the first",
  };
  const DOES = {
    "open-a": (entry) => open(entry, "a"),
    "open-b": (entry) => open(entry, "b"),
    pin: ({ id, isPinned }) => ofThisBrowser().pin(id, !isPinned),
    rename,
    delete: ({ id }) => remove(() => ofThisBrowser().remove(id), "Deleted."),
  };

  function open({ request }, slot) {
    element("history").open = false;
    element("history").querySelector("summary").focus();
    ours().shell.openRequest(slot, request);
    if (slot === "b" && window.location.pathname !== "/compare") ours().compare.openPage();
  }

  function remove(act, said) {
    removed = ofThisBrowser().all();
    act();
    say(said);
  }

  /** A field in place of the title: Enter keeps what it says, Escape what was there. */
  function rename(entry, pressed) {
    const title = pressed.closest("li").querySelector(".history-title");
    const field = Object.assign(document.createElement("input"), { value: entry.name || titleOf(entry), maxLength: LONGEST_NAME, className: "form-control" });
    field.setAttribute("aria-label", "Name; Enter keeps it, Escape does not");
    title.replaceWith(field);
    field.select();
    let isOver = false;
    const end = (keeps) => {
      if (isOver) return;
      isOver = true;
      if (keeps) ofThisBrowser().rename(entry.id, field.value);
      list();
      focus(entry.id, "rename");
    };
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault();
      event.stopPropagation();
      end(event.key === "Enter");
    });
    field.addEventListener("blur", () => end(true));
  }

  function act(pressed) {
    const entry = ofThisBrowser().all().find(({ id }) => id === pressed.dataset.entry);
    if (entry) DOES[pressed.dataset.does](entry, pressed);
    if (pressed.dataset.does !== "rename") list();
  }

  function listen() {
    document.addEventListener("click", ({ target }) => {
      if (target.matches("#history-list [data-does]")) act(target);
      if (target.id === "history-clear") {
        remove(() => ofThisBrowser().clear(), "The history is empty now.");
        list();
        element("history-undo").focus();
      }
      if (target.id === "history-undo") {
        ofThisBrowser().restore(removed);
        removed = null;
        say("");
        list();
        focus();
      }
    });
    document.addEventListener(
      "toggle",
      ({ target }) => {
        if (target.id !== "history") return;
        removed = null;
        say(hasRoom ? "" : NO_ROOM);
        list();
      },
      true // it does not bubble
    );
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !event.target.closest("#history[open]")) return;
      element("history").open = false;
      element("history").querySelector("summary").focus();
    });
    window.addEventListener("storage", ({ key }) => (key === KEY ? list() : null)); // another window of this browser
  }

  const history = { newHistory, titleOf, remember, MOST };
  if (typeof module !== "undefined") module.exports = history;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { history });
    listen();
  }
})();
