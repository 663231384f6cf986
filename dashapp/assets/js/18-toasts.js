/**
 * Errors that belong to no place on the page, in a corner of the window until a person dismisses them.
 * Knows sentences and the server's address; knows nothing of Dash.
 */
(function () {
  "use strict";

  const ENDPOINTS = ["/_dash-update-component", "/strip-attention", "/strip-measures", "/tokens-of-text", "/merges-of-token", "/take-away"]; // where this page asks the server
  const QUIET = 10000; // ms after a dismissal in which the same is not said again
  const AMONG_MOST = 4; // stand there at once

  const UNREACHABLE = {
    rule: "Everything on this page is computed by the server.",
    instance: "It does not answer.",
    remedy: "Check that it runs and that you are connected, then repeat what you did last.",
  };

  /** What an answer that is none means; null for an answer. @param {number} status - of HTTP */
  function refusal(status) {
    if (status < 400) return null;
    if (status === 413) {
      return {
        rule: "The server takes no question of many megabytes.",
        instance: "The last one was one (HTTP 413).",
        remedy: "Shorten the prompt.",
      };
    }
    return {
      rule: "The server answers every question of this page.",
      instance: `It could not answer the last one (HTTP ${status}).`,
      remedy: "Repeat what you did; if it fails again, reload the page.",
    };
  }

  /** Rule, instance and remedy in one. */
  function worded({ rule, instance, remedy }) {
    return `${rule} ${instance} ${remedy}`;
  }

  /**
   * Whether to say something now: not while it stands there, nor soon after it was dismissed.
   * @param {string[]} standing @param {Map<string, number>} dismissed - text → ms @param {number} now - ms
   */
  function isNews(text, standing, dismissed, now) {
    return !standing.includes(text) && !(now - dismissed.get(text) < QUIET);
  }

  const dismissed = new Map();
  const corner = () => document.getElementById("toasts");
  const standing = () => [...corner().children].map((toast) => toast.dataset.says);

  /** Say an error. @param {{rule: string, instance: string, remedy: string}} error */
  function say(error) {
    const text = worded(error);
    if (!corner() || !isNews(text, standing(), dismissed, Date.now())) return;
    const toast = document.createElement("div");
    toast.className = "toast-said";
    toast.dataset.says = text;
    const words = document.createElement("p");
    words.setAttribute("role", "alert");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = "Dismiss";
    button.title = "Escape";
    toast.append(words, button);
    if (corner().children.length >= AMONG_MOST) corner().firstChild.remove();
    corner().append(toast);
    words.textContent = text; // after it stands there: a live region tells what changes in it
  }

  function dismiss(toast) {
    const next = toast.nextElementSibling || toast.previousElementSibling;
    const hadFocus = toast.contains(document.activeElement);
    dismissed.set(toast.dataset.says, Date.now());
    toast.remove();
    if (hadFocus && next) next.querySelector("button").focus();
  }

  /** What an answer that is none means, in the server's own words where it has some: to wait, to sign in, to reload. */
  async function refusalOf(response) {
    const error = refusal(response.status);
    if (![400, 401, 429].includes(response.status)) return error;
    const said = await response.clone().json().catch(() => null); // who asked reads it too
    return said && said.rule ? said : error;
  }

  /** Questions to the server that fail are said; the caller gets the same answer or error as without us. */
  function watching(fetchBefore, tell, isLeaving) {
    return async function (...asked) {
      const address = String(asked[0] && asked[0].url ? asked[0].url : asked[0]);
      if (!ENDPOINTS.some((path) => address.includes(path))) return fetchBefore.apply(this, asked);
      try {
        const response = await fetchBefore.apply(this, asked);
        const error = await refusalOf(response);
        if (error) tell(error);
        return response;
      } catch (error) {
        if (error.name !== "AbortError" && !isLeaving()) tell(UNREACHABLE);
        throw error;
      }
    };
  }

  function listen() {
    let isLeaving = false; // then the browser itself ends what is under way
    window.addEventListener("pagehide", () => { isLeaving = true; });
    window.addEventListener("beforeunload", () => { isLeaving = true; setTimeout(() => { isLeaving = false; }, 1000); });
    window.addEventListener("pageshow", () => { isLeaving = false; });
    window.fetch = watching(window.fetch, say, () => isLeaving);
    document.addEventListener("click", (event) => {
      const toast = event.target.closest(".toast-said button") && event.target.closest(".toast-said");
      if (toast) dismiss(toast);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || !corner() || !corner().lastChild) return;
      dismiss(event.target.closest(".toast-said") || corner().lastChild);
    });
  }

  /** What the server says through Dash. */
  function told(error) {
    if (error) say(error);
  }

  const toasts = { refusal, worded, isNews, watching, say, told, UNREACHABLE, QUIET };
  if (typeof module !== "undefined") module.exports = toasts;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { toasts });
    listen();
  }
})();
