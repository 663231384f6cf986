/**
 * Which parts of a page are in the window or nearly so, and word when another comes near. Only those are drawn: a page
 * of fifteen figures that drew them all at each selection would keep a person waiting for the two that can be seen.
 * Knows elements; knows nothing of panels or of Dash.
 */
(function () {
  "use strict";

  const MARGIN = 1; // heights of the window, above and below: so far one scrolls while a figure is drawn

  /** Whether a rectangle is within MARGIN windows of the one of this height; one without a size is as far as is known. */
  function isNear({ top, bottom }, height) {
    return top < height * (1 + MARGIN) && bottom > -height * MARGIN;
  }

  /** Whether some of an element is in the window now. */
  function isSeen(element) {
    const { top, bottom } = element.getBoundingClientRect();
    return top < window.innerHeight && bottom > 0;
  }

  const awaited = new Map(); // element → what to do when it comes near
  let observer = null;

  /**
   * Whether an element is near the window now. If not, `then` is called once, when it is.
   * @param {Element|null} element - null: not on the page yet, which counts as near
   * @param {() => void} then - replaces what an earlier question about the same element was to call
   */
  function isNearOr(element, then) {
    if (!element || isNear(element.getBoundingClientRect(), window.innerHeight)) return true;
    for (const each of awaited.keys()) if (!each.isConnected) forget(each); // of pages that were left
    observer ||= new IntersectionObserver(arrived, { rootMargin: `${MARGIN * 100}% 0px` });
    awaited.set(element, then);
    observer.observe(element);
    return false;
  }

  function arrived(entries) {
    for (const { target, isIntersecting } of entries) {
      const then = isIntersecting && awaited.get(target);
      if (!then) continue;
      forget(target);
      then();
    }
  }

  function forget(element) {
    observer.unobserve(element);
    awaited.delete(element);
  }

  const nearness = { isNear, isSeen, isNearOr };
  if (typeof module !== "undefined") module.exports = nearness;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { nearness });
})();
