/**
 * The token strip: one span a token, one listener for all, one of them in the tab order.
 * Knows tokens and positions; knows nothing of Dash or of runs.
 */
(function () {
  "use strict";

  const MARKS = { " ": "space", "\n": "newline", "\t": "tab", "\r": "return" };
  const SPOKEN = { " ": "space", "\n": "new line", "\t": "tab", "\r": "carriage return" };
  const SPECIAL = "<|endoftext|>";

  /**
   * A token cut where whitespace needs a visible mark. Joined, the texts are the token.
   * @param {string} text
   * @returns {{kind: string, text: string}[]}
   */
  function pieces(text) {
    if (text === SPECIAL) return [{ kind: "special", text }];
    const found = [];
    for (const character of text) {
      const kind = MARKS[character] || (isInvisible(character) ? "invisible" : "text");
      const last = found[found.length - 1];
      if (last && last.kind === kind && kind === "text") last.text += character;
      else found.push({ kind, text: character });
    }
    return found;
  }

  /** Control, zero-width and bidirectional characters, which would hide or turn what stands around them. */
  function isInvisible(character) {
    return /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(character);
  }

  /**
   * A token as a screen reader should say it.
   * @param {string} text @param {number} pos @param {boolean} isDrawn
   */
  function spoken(text, pos, isDrawn) {
    const words = pieces(text).map((piece) =>
      piece.kind === "invisible" ? `U+${piece.text.codePointAt(0).toString(16).toUpperCase()}` : SPOKEN[piece.text] || piece.text
    );
    return `token ${pos}: ${words.join(" ")}${isDrawn ? ", generated" : ""}`;
  }

  /**
   * A token between quotes, whitespace visible, for a sentence.
   * @param {string} text
   */
  function quoted(text) {
    const shown = { space: "·", newline: "↵", tab: "⇥", return: "␍" };
    const inner = pieces(text).map((piece) =>
      piece.kind === "invisible" ? `[${piece.text.codePointAt(0).toString(16).toUpperCase()}]` : shown[piece.kind] || piece.text
    );
    return `‘${inner.join("")}’`;
  }

  /**
   * Where a key leads from a token; null for a key that leads nowhere.
   * @param {string} key @param {number} pos @param {number} n
   */
  function moved(key, pos, n) {
    const to = { ArrowRight: pos + 1, ArrowLeft: pos - 1, Home: 0, End: n - 1 }[key];
    return to === undefined || n === 0 ? null : Math.min(n - 1, Math.max(0, to));
  }

  /**
   * How many leading tokens of the strip stand as they should: these are left alone.
   * @param {string[]} shown @param {string[]} wanted
   */
  function commonStart(shown, wanted) {
    let n = 0;
    while (n < shown.length && n < wanted.length && shown[n] === wanted[n]) n += 1;
    return n;
  }

  /** Make the strip show these tokens; what is there already stays, so that growing text does not flicker. */
  function render(strip, tokens, nPrompt) {
    const signed = tokens.map((text, pos) => (pos < nPrompt ? "p" : "d") + text);
    const keep = commonStart(strip.tokensShown || [], signed);
    const isAtEnd = strip.scrollHeight - strip.scrollTop - strip.clientHeight < 4;
    while (strip.childNodes.length > keep) strip.lastChild.remove();
    const fragment = document.createDocumentFragment();
    for (let pos = keep; pos < tokens.length; pos += 1) fragment.append(element(tokens[pos], pos, pos >= nPrompt));
    strip.append(fragment);
    if (keep && isAtEnd && keep < tokens.length) strip.scrollTop = strip.scrollHeight; // the text grows: follow it
    strip.tokensShown = signed;
    if (tokens.length) {
      strip.setAttribute("role", "listbox");
      strip.setAttribute("aria-label", "Tokens of the prompt and its continuation");
      strip.setAttribute("aria-orientation", "horizontal");
    } else {
      strip.removeAttribute("role");
      strip.removeAttribute("aria-label");
      strip.removeAttribute("aria-orientation");
    }
  }

  function element(text, pos, isDrawn) {
    const span = document.createElement("span");
    span.className = isDrawn ? "token drawn" : "token";
    span.setAttribute("role", "option");
    span.setAttribute("aria-selected", "false");
    span.setAttribute("aria-label", spoken(text, pos, isDrawn));
    span.dataset.pos = String(pos);
    span.tabIndex = -1;
    span.dir = "auto";
    for (const piece of pieces(text)) {
      if (piece.kind === "text") {
        span.append(piece.text);
        continue;
      }
      const mark = document.createElement("span");
      mark.className = `ws ${piece.kind}`;
      mark.textContent = piece.kind === "invisible" ? quoted(piece.text).slice(1, -1) : piece.text;
      span.append(mark);
    }
    return span;
  }

  /** Mark one token as selected and make it the one that Tab reaches. `isChosen`: by a person, not by default. */
  function highlight(strip, pos, isChosen) {
    for (const old of strip.querySelectorAll("[tabindex='0'], .selected")) {
      old.tabIndex = -1;
      old.classList.remove("selected", "by-default");
      old.setAttribute("aria-selected", "false");
    }
    const chosen = strip.childNodes[pos];
    if (!chosen) return;
    chosen.tabIndex = 0;
    chosen.classList.add("selected");
    chosen.classList.toggle("by-default", !isChosen);
    chosen.setAttribute("aria-selected", "true");
  }

  /** Listen once, for the strip as a whole. select(pos or null): what a person chose. */
  function listen(strip, select) {
    strip.addEventListener("click", (event) => {
      const token = event.target.closest("[data-pos]");
      if (!token) return;
      select(Number(token.dataset.pos));
      token.focus({ preventScroll: true });
    });
    strip.addEventListener("keydown", (event) => {
      const token = event.target.closest("[data-pos]");
      if (!token || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "Escape") {
        select(null);
      } else if (event.key === "Enter" || event.key === " ") {
        select(Number(token.dataset.pos));
      } else {
        const to = moved(event.key, Number(token.dataset.pos), strip.childNodes.length);
        if (to === null) return;
        select(to);
        strip.childNodes[to].focus();
      }
      event.preventDefault();
    });
  }

  const tokens = { pieces, spoken, quoted, moved, commonStart, render, highlight, listen };
  if (typeof module !== "undefined") module.exports = tokens;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { tokens });
})();
