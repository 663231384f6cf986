/**
 * The card of a token: what it is and how it was predicted, beside the token that is pointed at or has the focus.
 * It stays while the pointer is in it, and Escape closes it. Knows strips; what it says comes from 16-measures.js.
 */
(function () {
  "use strict";

  const WAIT_MS = 120; // the way from the token to its card
  const GAP = 4; // pixels between them

  const ours = () => window.dash_clientside;
  const card = () => document.getElementById("token-card");
  let of = null; // the token whose card is shown
  let timer = 0;

  function line(text, className = "") {
    const made = document.createElement("p");
    made.textContent = text;
    made.className = className;
    return made;
  }

  /** What is said of a token, as elements. */
  function content(token) {
    const slot = token.parentElement.id.slice(-1);
    const pos = Number(token.dataset.pos);
    const text = ours().tokens.textOf(token.parentElement, pos);
    const found = ours().strip.measuresOf(slot);
    const { about, attention } = token.dataset;
    const more = [about, attention].filter(Boolean).map((said) => line(said));
    if (!found || found.ids.length <= pos) return [line(`${ours().tokens.quoted(text)} token ${pos}`, "card-head"), ...more];
    const { head, prediction, others } = ours().measures.card(found, pos, text, ours().strip.units());
    return [line(head, "card-head"), ...prediction.map((said) => line(said)), ...likeliest(others), ...more, merges(token, found.ids[pos])];
  }

  /** The likeliest in a token's place; the token itself is marked. */
  function likeliest(others) {
    if (!others.length) return [];
    const list = document.createElement("ol");
    for (const { text, prob, isIt } of others) {
      const item = document.createElement("li");
      const name = document.createElement("bdi");
      name.textContent = text;
      item.append(isIt ? "▸ " : "", name, ` ${prob}`);
      list.append(item);
    }
    return [line("Likeliest here:"), list];
  }

  /** How a token is split: a line that is there as soon as the server has told it. */
  function merges(token, id) {
    const made = line("");
    ours().typed.madeOf(id).then((answer) => {
      if (!answer || of !== token) return;
      made.textContent = ours().typed.merged(answer, ours().tokens.quoted);
      put(token);
    });
    return made;
  }

  function show(token) {
    clearTimeout(timer);
    if (of === token && !card().hidden) return;
    if (of) of.removeAttribute("aria-describedby");
    of = token;
    of.setAttribute("aria-describedby", "token-card");
    card().replaceChildren(...content(token));
    card().hidden = false;
    put(token);
  }

  /** Below the token, or above it where there is no room; inside the window. */
  function put(token) {
    const { style, offsetWidth: width, offsetHeight: height } = card();
    const rows = token.getClientRects();
    if (!rows.length) return hide(); // it has gone while the server was asked about it
    const [first, last] = [rows[0], rows[rows.length - 1]];
    const fits = last.bottom + GAP + height <= window.innerHeight;
    style.left = `${Math.max(GAP, Math.min(last.left, document.documentElement.clientWidth - width - GAP))}px`;
    style.top = `${fits ? last.bottom + GAP : Math.max(GAP, first.top - GAP - height)}px`;
  }

  function hide() {
    clearTimeout(timer);
    if (of) of.removeAttribute("aria-describedby");
    of = null;
    if (card()) card().hidden = true;
  }

  function hideSoon() {
    clearTimeout(timer);
    timer = setTimeout(hide, WAIT_MS);
  }

  /** Something about tokens has come or changed. */
  function refresh() {
    if (!of) return;
    if (!of.isConnected) return hide();
    card().replaceChildren(...content(of));
    put(of);
  }

  const tokenAt = (target) => (target instanceof Element ? target.closest(".strip [data-pos]") : null);

  function listen() {
    document.addEventListener("pointerover", (event) => {
      if (event.pointerType === "touch") return; // a touch selects, and the focus shows it
      const token = tokenAt(event.target);
      if (token) show(token);
      else if (of && card().contains(event.target)) clearTimeout(timer);
      else if (of && !of.matches(":focus-visible")) hideSoon(); // who walks by keyboard leaves by keyboard
    });
    document.addEventListener("focusin", (event) => {
      const token = tokenAt(event.target);
      if (token) show(token);
      else if (of) hide();
    });
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); }, true);
    document.addEventListener("scroll", (event) => { if (of && event.target !== card()) hide(); }, true);
  }

  const exported = { refresh, hide };
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { card: exported });
    listen();
  }
})();
