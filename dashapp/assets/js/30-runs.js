/**
 * The state of a run, from all that is known of it. Pure functions; knows nothing of the page or of Dash.
 *
 * phase: nothing | asking | queued | running | done | failed. A run that fails keeps the tokens it had drawn.
 */
(function () {
  "use strict";

  const PATIENCE = 15; // pulses (seconds) without a sign of life before a job is given up
  const GRACE = 2; // pulses between the end of a job's process and its result
  const BUSY = ["asking", "queued", "running"];

  const LOST = {
    rule: "A job answers or says why it cannot.",
    instance: "This one ended without a word, or the server cannot be reached.",
    remedy: "Press Retry.",
  };
  const STOPPED = {
    rule: "A request that is stopped keeps what was drawn.",
    instance: "This one had not begun.",
    remedy: "Press Retry to run it.",
  };

  /**
   * @param {object} seen - request, answer, progress, finished: the latest of each; running: whether Dash thinks that
   *   a job runs; stop: the id of the request that was stopped; pulse: seconds counted while something is awaited.
   * @param {object|null} before - the state before
   */
  function state(seen, before) {
    const { request } = seen;
    if (!request) return { phase: "nothing", tokens: [], nPrompt: 0 };
    const now = outcome(seen, of(before, request.id));
    now.since = sameSign(now, before) ? before.since : seen.pulse || 0;
    return givenUp(now, seen);
  }

  function of(before, id) {
    return before && before.id === id ? before : { id, tokens: [], nPrompt: 0 };
  }

  function outcome(seen, before) {
    const { request, answer, progress, finished } = seen;
    const base = { id: request.id, tokens: before.tokens, nPrompt: before.nPrompt };
    if (finished && finished.id === request.id) return ended(base, finished, finished.status === "done");
    if (before.phase === "failed") return { ...before };
    const isStopped = seen.stop === request.id;
    if (!answer || answer.id !== request.id) {
      return isStopped ? { ...base, phase: "failed", ...STOPPED } : { ...base, phase: "asking", isStopped };
    }
    if (answer.kind === "known") return ended(base, answer, true);
    if (answer.kind === "refused") return { ...ended(base, answer, false), isRefused: true };
    if (answer.kind === "waiting") {
      return isStopped ? { ...base, phase: "failed", ...STOPPED } : { ...base, phase: "queued", place: answer.place };
    }
    const told = progress && progress.id === request.id ? progress : null;
    const isNews = told && told.tokens && told.tokens.length >= before.tokens.length; // the strip may have heard it already
    const drawn = isNews ? { tokens: told.tokens, nPrompt: told.n_prompt } : {};
    const doing = told && told.doing ? told.doing : "starting";
    const share = told && told.share ? told.share : 0;
    const sign = `${told ? told.beat : "none"} ${share} ${doing} ${seen.running}`;
    return { ...base, ...drawn, phase: "running", doing, share, sign, isStopped };
  }

  function ended(base, told, isDone) {
    if (!isDone) {
      const { rule, instance, remedy, cut, instead, error, tokens = base.tokens, n_prompt: nPrompt = base.nPrompt } = told;
      return { ...base, phase: "failed", tokens, nPrompt, rule, instance, remedy, cut, instead, error };
    }
    const { tokens, n_prompt: nPrompt, trace, stop, seconds, settings, file } = told;
    return { ...base, phase: "done", tokens, nPrompt, trace, stop, seconds, settings, model: modelOf(told), ...(file ? { file } : {}) };
  }

  /** What the browser must know of the model that computed a run; null where the server did not say. */
  function modelOf({ model, fingerprint, n_layer, n_head, d_mlp, n_ctx }) {
    return model ? { name: model, fingerprint, n_layer, n_head, d_mlp, n_ctx } : null;
  }

  function sameSign(now, before) {
    return Boolean(before) && before.id === now.id && before.phase === now.phase && before.sign === now.sign;
  }

  function givenUp(now, seen) {
    const quiet = (seen.pulse || 0) - now.since;
    const isOver = now.phase === "running" && seen.running === false && quiet >= GRACE;
    if (isOver || (BUSY.includes(now.phase) && now.phase !== "queued" && quiet >= PATIENCE)) {
      return { ...now, phase: "failed", ...LOST };
    }
    return now;
  }

  /** Whether something is awaited. */
  function isBusy(run) {
    return Boolean(run) && BUSY.includes(run.phase);
  }

  /** Whether a person can stop it: a text that was stopped and is kept is only being traced. */
  function canStop(run) {
    return isBusy(run) && !isKept(run);
  }

  /**
   * What panels are told of a run. While it is computed only that it is: its tokens are the strip's, and a page of panels
   * that drew each would hold them up. Figures of the run before stay until there is something of this one to see.
   * @param {object} run @param {object|null} told - what they were told last @param {boolean} isLate - whether it takes long
   */
  function forPanels(run, told, isLate) {
    if (!isBusy(run)) return isTold(run, told) ? told : run;
    const isShort = Boolean(told) && told.phase === "done" && !run.tokens.length && run.phase !== "queued" && !isLate;
    return isShort || isTold(run, told) ? told : { id: run.id, phase: "running", tokens: [], nPrompt: 0 };
  }

  const isTold = (run, told) => Boolean(told) && told.id === run.id && isBusy(told) === isBusy(run) && (isBusy(run) || told.phase === run.phase);

  function isKept(run) {
    return run.phase === "running" && Boolean(run.isStopped) && run.doing === "tracing";
  }

  /**
   * The token whose prediction is shown: the selected one, or else the last of the prompt.
   * @param {object|null} run @param {number|null} pos
   */
  function position(run, pos) {
    if (!run || !run.tokens || !run.tokens.length) return null;
    const wanted = Number.isInteger(pos) ? pos : run.nPrompt - 1;
    return Math.min(run.tokens.length - 1, Math.max(0, wanted));
  }

  const STOPS = {
    length: "",
    none: " New tokens is 0, which only looks at the prompt.",
    context: " The model's context is full.",
    end: " The model ended the text itself.",
    person: " You stopped it.",
  };

  /** One sentence on what happens or happened. */
  function sentence(run) {
    if (!run) return "";
    const nDrawn = run.tokens.length - run.nPrompt;
    const words = (n) => `${n.toLocaleString("en")} ${n === 1 ? "token" : "tokens"}`;
    if (run.phase === "asking") return "Looking it up";
    if (run.phase === "queued") return `Waiting for a place: number ${run.place} in the queue`;
    if (run.phase === "running") {
      if (isKept(run)) return `Stopped: ${words(nDrawn)} kept. What every layer and head did is being traced`;
      if (run.isStopped) return "Stopping";
      if (run.doing === "tracing") return `Tracing ${words(run.tokens.length)}: what every layer and head did`;
      return run.doing === "starting" ? "Starting" : `Generating: ${words(nDrawn)} so far`;
    }
    if (run.phase !== "done") return "";
    const time = run.seconds ? ` in ${run.seconds < 10 ? run.seconds.toPrecision(2) : Math.round(run.seconds)} s` : "";
    const isEmpty = run.nPrompt === 1 && run.tokens[0] === "<|endoftext|>";
    const read = isEmpty ? "An empty prompt: the model begins from <|endoftext|> alone" : `${words(run.nPrompt)} of prompt`;
    return `${read}, ${nDrawn.toLocaleString("en")} generated${time}.${STOPS[run.stop] || ""}`;
  }

  const runs = { state, isBusy, canStop, forPanels, position, sentence, PATIENCE, GRACE };
  if (typeof module !== "undefined") module.exports = runs;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { runs });
})();
