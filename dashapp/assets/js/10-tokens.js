/**
 * The token strip: one span a token, one listener for all, one of them in the tab order.
 * Knows tokens and positions; knows nothing of Dash or of runs.
 */
(function () {
  "use strict";

  const MARKS = { " ": "space", "\n": "newline", "\t": "tab", "\r": "return" };
  const SPOKEN = { " ": "space", "\n": "new line", "\t": "tab", "\r": "carriage return" };
  const BYTES = { "20": "a space", "0A": "a new line", "09": "a tab", "0D": "a carriage return" };
  const LINES = { ArrowDown: 1, ArrowUp: -1 };
  const HANDS_OFF_MS = 1500; // after a person scrolled a strip, nothing else does
  const SPECIAL = "<|endoftext|>";

  /**
   * A token cut where whitespace needs a visible mark. Joined, the texts are the token. A kind becomes a class of the
   * stylesheet; Bootstrap has one named "invisible", which hides.
   * @param {string} text
   * @returns {{kind: string, text: string}[]}
   */
  function pieces(text) {
    if (text === SPECIAL) return [{ kind: "special", text }];
    if (isBytes(text)) return [{ kind: "text", text }]; // the spaces between its bytes are ours
    const found = [];
    for (const character of text) {
      const kind = MARKS[character] || (isInvisible(character) ? "unseen" : "text");
      const last = found[found.length - 1];
      if (last && last.kind === kind && kind === "text") last.text += character;
      else found.push({ kind, text: character });
    }
    return found;
  }

  /** A piece of a character, which the server writes as its bytes: "<D8>". Somebody may also have typed it. */
  function isBytes(text) {
    return /^<[0-9A-F]{2}( [0-9A-F]{2})*>$/.test(text);
  }

  /** A piece of a character in words: "20 is a space; 3 bytes that are part of a character". "" of other tokens. */
  function bytesInWords(text) {
    if (!isBytes(text)) return "";
    const parts = text.match(/[0-7][0-9A-F]|[89A-F][0-9A-F]( [89A-F][0-9A-F])*/g); // below 80 a byte is a character
    const inWords = (part) => {
      const n = part.split(" ").length;
      if (part[0] < "8") return `${part} is ${BYTES[part] || `‘${String.fromCharCode(parseInt(part, 16))}’`}`;
      return n === 1 ? "1 byte that is part of a character" : `${n} bytes that are part of a character`;
    };
    return parts.map(inWords).join("; ");
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
      piece.kind === "unseen" ? `U+${piece.text.codePointAt(0).toString(16).toUpperCase()}` : SPOKEN[piece.text] || piece.text
    );
    const said = bytesInWords(text);
    return `token ${pos}: ${words.join(" ")}${said && `, ${said}`}${isDrawn ? ", generated" : ""}`;
  }

  /**
   * A token between quotes, whitespace visible, for a sentence.
   * @param {string} text
   */
  function quoted(text) {
    const shown = { space: "·", newline: "↵", tab: "⇥", return: "␍" };
    const inner = pieces(text).map((piece) =>
      piece.kind === "unseen" ? `[${piece.text.codePointAt(0).toString(16).toUpperCase()}]` : shown[piece.kind] || piece.text
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
   * The token that stands above or below another in lines of text: the nearest of the next line, or where there is none
   * itself; null for a key that does not lead there.
   * @param {string} key @param {number} pos
   * @param {{left: number, right: number, top: number, bottom: number}[]} boxes - of all tokens, where each begins
   */
  function movedLine(key, pos, boxes) {
    const step = LINES[key];
    if (!step || !boxes.length) return null;
    const middle = ({ left, right }) => (left + right) / 2;
    const height = ({ top, bottom }) => (top + bottom) / 2;
    const beyond = (box, from) => (step > 0 ? height(box) > from.bottom : height(box) < from.top);
    const lines = boxes.filter((box) => beyond(box, boxes[pos])).map(height);
    if (!lines.length) return pos;
    const next = step > 0 ? Math.min(...lines) : Math.max(...lines);
    const isInIt = ({ top, bottom }) => top < next && next < bottom;
    const away = (box) => (isInIt(box) ? Math.abs(middle(box) - middle(boxes[pos])) : Infinity);
    return boxes.reduce((best, box, each) => (away(box) < away(boxes[best]) ? each : best), boxes.findIndex(isInIt));
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
    if (strip.tokensShown && keep === signed.length && keep === strip.tokensShown.length) return;
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

  /** The text of a token that a strip shows. */
  function textOf(strip, pos) {
    return strip.tokensShown[pos].slice(1);
  }

  function element(text, pos, isDrawn) {
    const span = document.createElement("span");
    span.className = `token${isDrawn ? " drawn" : ""}${isBytes(text) ? " bytes" : ""}`;
    span.setAttribute("role", "option");
    span.setAttribute("aria-selected", "false");
    span.setAttribute("aria-label", spoken(text, pos, isDrawn));
    span.dataset.pos = String(pos);
    span.tabIndex = -1;
    const about = bytesInWords(text);
    if (about) span.dataset.about = about;
    write(span, text);
    return span;
  }

  /** Write a token into an element, with a visible mark for whatever would not be seen. */
  function write(span, text) {
    for (const piece of pieces(text)) {
      if (piece.kind === "text") {
        span.append(piece.text);
        continue;
      }
      const mark = document.createElement("span");
      mark.className = `ws ${piece.kind}`;
      mark.textContent = piece.kind === "unseen" ? quoted(piece.text).slice(1, -1) : piece.text;
      span.append(mark);
    }
  }

  /**
   * Mark one token as selected and make it the one that Tab reaches; with null none, and Tab reaches the first.
   * `isChosen`: by a person, not by default. `second`: the other token of a pair, or null.
   */
  function highlight(strip, pos, isChosen, second = null) {
    for (const old of strip.querySelectorAll("[tabindex='0'], .selected, .second")) {
      old.tabIndex = -1;
      old.classList.remove("selected", "by-default", "second");
      old.setAttribute("aria-selected", "false");
      old.removeAttribute("aria-description");
    }
    const other = second === null ? undefined : strip.childNodes[second];
    if (other) {
      other.classList.add("second");
      other.setAttribute("aria-description", "second token of the pair");
    }
    const chosen = strip.childNodes[pos];
    if (!chosen) {
      if (strip.firstChild) strip.firstChild.tabIndex = 0;
      return;
    }
    chosen.tabIndex = 0;
    chosen.classList.add("selected");
    chosen.classList.toggle("by-default", !isChosen);
    chosen.setAttribute("aria-selected", "true");
  }

  /**
   * Scroll a strip, and nothing around it, so that a token is in its view. Once for each token, text and page: from then
   * on the strip is left where a person puts it.
   * @param {Element} strip @param {number} pos @param {string} page
   */
  function reveal(strip, pos, page) {
    const token = strip.childNodes[pos];
    const before = strip.revealed;
    if (!token || !strip.clientHeight) return;
    if (before && before.pos === pos && before.page === page && before.tokens === strip.tokensShown) return;
    strip.revealed = { pos, page, tokens: strip.tokensShown };
    if (performance.now() - (strip.scrolledAt ?? -Infinity) < HANDS_OFF_MS) return;
    const view = strip.getBoundingClientRect();
    const { top, bottom } = token.getBoundingClientRect();
    strip.scrollTop = scrolledTo(strip.scrollTop, strip.clientHeight, top - view.top, bottom - view.top);
  }

  /**
   * Where a view must be scrolled to for a token: where it is, if it shows all of it, and else so that it is in the
   * middle. All in pixels.
   * @param {number} now @param {number} height - of the view @param {number} top @param {number} bottom - from its top
   */
  function scrolledTo(now, height, top, bottom) {
    return top >= 0 && bottom <= height ? now : Math.max(0, now + (top + bottom - height) / 2);
  }

  /** Listen once, for the strip as a whole. select(pos or null): what a person chose. */
  function listen(strip, select) {
    for (const act of ["wheel", "touchmove", "pointerdown"]) {
      strip.addEventListener(act, () => (strip.scrolledAt = performance.now()), { passive: true });
    }
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
        const from = Number(token.dataset.pos);
        const boxes = () => [...strip.childNodes].map((each) => each.getClientRects()[0]);
        const to = event.key in LINES ? movedLine(event.key, from, boxes()) : moved(event.key, from, strip.childNodes.length);
        if (to === null) return;
        select(to);
        strip.scrolledAt = undefined; // who walks wants to see where
        strip.childNodes[to].focus({ preventScroll: true });
      }
      event.preventDefault();
    });
  }

  const tokens = {
    ...{ pieces, isBytes, bytesInWords, spoken, quoted, moved, movedLine, commonStart, scrolledTo },
    ...{ write, textOf, render, highlight, reveal, listen },
  };
  if (typeof module !== "undefined") module.exports = tokens;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { tokens });
})();
