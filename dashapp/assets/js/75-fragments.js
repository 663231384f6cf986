/**
 * A link to a panel, "/attention#title-head-grid-a" or one of a page's index: brings its heading into view once it is there, and keeps it there
 * while the figures above it are drawn. Pages are put together by Dash after the address has changed, so that the
 * browser, which looks for the heading at once, finds none.
 */
(function () {
  "use strict";

  const HEADING = /^#(title-[\w-]+)$/;
  const LONGEST_MS = 8000; // then the person is left alone, whatever is still being drawn
  const SETTLED_MS = 600; // after the last figure
  const STEP_MS = 100;
  const ROOM = 12; // pixels between what sticks to the top and the heading

  /** The id of the heading that an address leads to, or null. @param {string} hash */
  function headingOf(hash) {
    const found = HEADING.exec(hash);
    return found ? found[1] : null;
  }

  let following = 0;

  function follow() {
    goTo(headingOf(window.location.hash));
  }

  function goTo(id) {
    clearTimeout(following);
    if (id) step(id, Date.now(), 0);
  }

  /** A link of a page's index: the address stays as it is, for each step in it is a step for Back. */
  function followIndex(event) {
    const link = event.target instanceof Element ? event.target.closest(".page-index a") : null;
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab is the browser's
    event.preventDefault();
    goTo(headingOf(link.getAttribute("href")));
  }

  function step(id, since, settledSince) {
    const heading = document.getElementById(id);
    const isDrawing = !heading || [...document.querySelectorAll("#page .panel-body.is-waiting")].some(isNear);
    if (heading) bring(heading, !settledSince);
    const settled = isDrawing ? 0 : settledSince || Date.now();
    const isOver = (settled && Date.now() - settled > SETTLED_MS) || Date.now() - since > LONGEST_MS;
    if (!isOver) following = setTimeout(() => step(id, since, settled), STEP_MS);
  }

  /** Whether a panel may be drawn while one stands here: those further away are not, and would be waited for in vain. */
  const isNear = (body) => window.dash_clientside.nearness.isNear(body.getBoundingClientRect(), window.innerHeight);

  function bring(heading, withFocus) {
    const strip = document.querySelector(".strip-bar");
    const top = heading.getBoundingClientRect().top - (strip ? strip.offsetHeight : 0) - ROOM;
    if (Math.abs(top) > 2) window.scrollBy(0, top);
    if (!withFocus || document.activeElement === heading) return;
    heading.tabIndex = -1; // for who listens or uses the keyboard, to go on from here
    heading.focus({ preventScroll: true });
  }

  if (typeof module !== "undefined") module.exports = { headingOf };
  if (typeof window !== "undefined") {
    window.addEventListener("_dashprivate_pushstate", follow); // a dcc.Link was followed
    window.addEventListener("load", follow);
    document.addEventListener("click", followIndex);
    for (const act of ["wheel", "touchmove", "keydown", "pointerdown"]) {
      window.addEventListener(act, () => clearTimeout(following), { passive: true }); // they go where they like
    }
  }
})();
