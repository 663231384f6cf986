/**
 * Between the page and the pure functions of the other files: what Dash's clientside callbacks call, and listeners.
 */
(function () {
  "use strict";

  const FIELDS = ["prompt", "max_new_tokens", "temperature", "top_k", "top_p", "seed", "bos"];
  const EXAMPLE_PROMPT = "Once upon a time, there was a little";
  const THEME_KEY = "dashapp-theme";
  const RUNNING_LABEL = "Stop";
  const NOTHING = { pos: null, layer: null, head: null };

  let chosen = NOTHING; // the selection as it was last drawn or chosen

  const ours = () => window.dash_clientside;
  const same = () => window.dash_clientside.no_update;
  const asked = () => {
    const { triggered } = window.dash_clientside.callback_context;
    return triggered.length ? triggered[0].prop_id.split(".")[0] : "";
  };

  /** 32 hexadecimal digits that nobody can guess. */
  function newId() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  /** The request in a form's values, in the order of FIELDS. */
  function formRequest(values) {
    return Object.fromEntries(FIELDS.map((name, i) => [name, values[i]]));
  }

  /** Whether two requests ask for the same; ids differ always. */
  function isSameRequest(one, other) {
    return Boolean(one) && Boolean(other) && FIELDS.every((name) => one[name] === other[name]);
  }

  /** Generate, Stop, Retry; and at the start or after Back, what the address says. */
  function start(nGo, nRetry, restored, ...rest) {
    const values = rest.slice(0, FIELDS.length);
    const [request, run] = rest.slice(FIELDS.length);
    const keep = FIELDS.map(same);
    switch (asked()) {
      case "go":
        if (ours().runs.isBusy(run)) return [same(), run.id, same(), ...keep];
        return [{ ...formRequest(values), prompt: values[0] || "", id: newId() }, same(), { ...chosen, pos: null }, ...keep];
      case "retry":
        return [{ ...request, id: newId() }, same(), same(), ...keep];
      default:
        return opened(values, request);
    }
  }

  function opened(values, request) {
    const found = ours().link.read(window.location.search);
    const defaults = { ...formRequest(values), prompt: EXAMPLE_PROMPT };
    const wanted = { ...defaults, ...(found ? found.fields : {}) };
    const selection = { pos: found ? found.pos : null, ...headInModel(found) };
    if (isSameRequest(wanted, request) || (request && !found)) {
      return [same(), same(), found ? selection : same(), ...FIELDS.map(same)];
    }
    return [{ ...wanted, id: newId() }, same(), selection, ...FIELDS.map((name) => wanted[name])];
  }

  /** The head of a selection, or none where this model has no such head: a link may come from a larger one. */
  function headInModel(selection) {
    const { layers, heads } = document.getElementById("model-chip").dataset;
    const { layer, head } = selection || {};
    const isHere = Number.isInteger(layer) && Number.isInteger(head) && layer < Number(layers) && head < Number(heads);
    return isHere ? { layer, head } : { layer: null, head: null };
  }

  function admitted(answer) {
    return answer && answer.kind === "admitted" ? answer.request : same();
  }

  function finished(result) {
    if (result) ours().set_props("finished", { data: result });
  }

  function state(request, answer, progress, done, running, stop, pulse, before) {
    const next = ours().runs.state({ request, answer, progress, finished: done, running, stop, pulse }, before);
    return JSON.stringify(next) === JSON.stringify(before) ? same() : next;
  }

  function ask(pulse, run, request) {
    return run && run.phase === "queued" ? { ...request } : same();
  }

  /** Strip, button, bar, sentence and failure of a run. */
  function draw(run) {
    const { runs, tokens } = ours();
    const isBusy = runs.isBusy(run);
    const failure = run && run.phase === "failed" ? `${run.rule} ${run.instance} ${run.remedy}` : "";
    const root = document.getElementById("shell");
    root.dataset.phase = run ? run.phase : "nothing";
    root.dataset.run = run && run.id ? run.id : "";
    if (run) tokens.render(strip(), run.tokens, run.nPrompt);
    document.getElementById("go").classList.toggle("stops", isBusy);
    const share = run && run.phase === "running" ? run.share : 0;
    return [isBusy ? RUNNING_LABEL : "Generate", !isBusy, String(share), runs.sentence(run), !failure, failure, Boolean(run && run.isRefused), !isBusy];
  }

  function compareForm(...values) {
    const request = values[FIELDS.length];
    const form = formRequest(values);
    const isSameText = !request || (form.prompt || "") === request.prompt;
    return [isSameText, summary(form)];
  }

  /** The sampler's settings in one line. */
  function summary(form) {
    const shown = (value) => (Number.isFinite(value) ? value : "–"); // an emptied field is null or NaN
    const parts = [`${shown(form.max_new_tokens)} new`, `T ${shown(form.temperature)}`];
    if (form.top_k !== 0) parts.push(`top-k ${shown(form.top_k)}`);
    if (form.top_p !== 1) parts.push(`top-p ${shown(form.top_p)}`);
    parts.push(`seed ${shown(form.seed)}`);
    if (!form.bos) parts.push("no <|endoftext|>");
    return parts.join(" · ");
  }

  /** The selection in words, in the strip and the figures, in the address, and in the links to other pages. */
  function select(selection, run, pathname, request, links) {
    const { runs, tokens, panels, link } = ours();
    chosen = selection || NOTHING;
    const pos = runs.position(run, selection);
    const isChosen = Boolean(selection) && Number.isInteger(selection.pos);
    if (pos !== null) {
      tokens.highlight(strip(), pos, isChosen);
      panels.highlight({ ...chosen, pos });
    }
    const query = link.write(request, selection);
    if (query !== window.location.search && request) {
      window.history.replaceState(window.history.state, "", window.location.pathname + query);
    }
    markPage(pathname);
    return [selectionSentence(run, pos, isChosen), !isChosen && chosen.layer === null, query, links.map((id) => id.path + query)];
  }

  function selectionSentence(run, pos, isChosen) {
    if (pos === null) return "";
    const token = `token ${pos} ${ours().tokens.quoted(run.tokens[pos])}`;
    const head = Number.isInteger(chosen.layer) ? `layer ${chosen.layer}, head ${chosen.head}` : "";
    if (isChosen) return `Selected: ${token}, ${pos < run.nPrompt ? "of the prompt" : "generated"}${head && ` · ${head}`}.`;
    return `${head && `Selected: ${head}. `}Click a token to see what the model expects after it. Shown now: the end of the prompt, ${token}.`;
  }

  function markPage(pathname) {
    for (const each of document.querySelectorAll("nav.pages a")) {
      const isHere = new URL(each.href).pathname === pathname;
      if (isHere) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
  }

  function theme(nClicks, before) {
    const kept = localStorage.getItem(THEME_KEY);
    const preferred = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    let now = before || (kept === "light" || kept === "dark" ? kept : preferred);
    if (asked() === "theme-button" && nClicks) {
      now = now === "dark" ? "light" : "dark";
      localStorage.setItem(THEME_KEY, now);
    }
    document.documentElement.dataset.bsTheme = now;
    return [now, now === "dark" ? "Light" : "Dark"];
  }

  const strip = () => document.getElementById("token-strip");

  /**
   * A person chose a token, a head, or with null none; what is not named stays as it is.
   * @param {object} fields - of pos, layer, head
   */
  function choose(fields) {
    chosen = { ...chosen, ...fields };
    if (Number.isInteger(chosen.pos)) {
      // At once; what follows through Dash does the same some frames later.
      ours().tokens.highlight(strip(), chosen.pos, true);
      ours().panels.highlight(chosen);
    }
    ours().set_props("selection", { data: chosen });
  }

  /** Listeners of the document, which outlive what Dash redraws. */
  function listen() {
    document.addEventListener("click", (event) => {
      if (event.target.id === "selection-clear") choose(NOTHING);
    });
    document.addEventListener("keydown", (event) => {
      if (event.target.id === "prompt" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        document.getElementById("go").click();
      }
    });
    window.addEventListener("popstate", () => ours().set_props("restore", { data: window.location.search }));
    new MutationObserver((_, observer) => {
      if (!strip()) return;
      observer.disconnect();
      ours().tokens.listen(strip(), (pos) => choose({ pos }));
    }).observe(document.documentElement, { childList: true, subtree: true });
  }

  const shell = {
    newId, formRequest, isSameRequest, summary, start, admitted, finished, state, ask, draw, compareForm, select, theme, choose,
  };
  if (typeof module !== "undefined") module.exports = shell;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { shell });
    listen();
  }
})();
