/**
 * A run as a file: taken away, brought by an upload with progress, and the check of one that was brought.
 * Knows the routes of shell/run_file.py and the buttons of shell/files.py.
 */
(function () {
  "use strict";

  const ADDRESS = "/run-file";
  const AGAIN_MS = 500; // between two questions how a check fares
  const FAILED = "It could not be done. Try again; if it fails again, reload the page.";
  const UNSENT = "The file could not be sent: the server cannot be reached, or has ended the connection. Open it again.";
  const WAITS = ["queued", "running"];

  const ours = () => window.dash_clientside;
  const element = (name, slot) => document.getElementById(`${name}-${slot}`);
  const runs = { a: null, b: null }; // on screen
  const sending = { a: null, b: null };
  const seen = { a: null, b: null }; // the file whose mark is drawn
  let asker = "";

  /** What a file should tell of a run. @param {object} run */
  function told({ nPrompt, stop, settings }) {
    return { n_prompt: nPrompt, stop: stop || "none", settings: settings || null };
  }

  /** A share as people read it. @param {number} sent @param {number} all */
  function percent(sent, all) {
    return `${Math.floor((100 * sent) / Math.max(1, all))} %`;
  }

  /** What is said of a check that is awaited. @param {{phase: string, place: number, share: number}} state */
  function awaited({ phase, place, share }) {
    if (phase === "queued") return place > 1 ? `The check waits for a place: number ${place} in the queue.` : "The check waits for a place.";
    return `Its tokens are run again: ${percent(share || 0, 1)}.`;
  }

  // The page -----------------------------------------------------------------------------------------------------------

  const say = (slot, text) => (element("file-said", slot).textContent = text);

  async function ask(path, asked) {
    const answer = await fetch(`${ADDRESS}${path}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(asked) });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return answer.json();
  }

  async function take(slot) {
    const run = runs[slot];
    if (!run || run.phase !== "done") return say(slot, "There is no run yet. Press Generate first.");
    say(slot, "Being checked");
    try {
      const found = await ask("/ask", { trace: run.trace, run: told(run) });
      if (found.fault) return say(slot, found.fault);
      // An address, not bytes in this page: the browser writes to the disk what comes.
      Object.assign(document.createElement("a"), { href: `${found.address}?${new URLSearchParams({ run: found.run })}`, download: found.name }).click();
      say(slot, `Saved as ${found.name}.`);
    } catch {
      say(slot, FAILED);
    }
  }

  function choose(slot) {
    const field = Object.assign(document.createElement("input"), { type: "file", accept: ".safetensors" });
    field.addEventListener("change", () => field.files.length && bring(slot, field.files[0]));
    field.click();
  }

  function bring(slot, file) {
    if (sending[slot]) sending[slot].abort();
    const request = (sending[slot] = new XMLHttpRequest()); // fetch tells nothing of what was sent
    const isOurs = () => sending[slot] === request;
    show(slot, 0);
    say(slot, `Sending ${file.name}`);
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      if (!isOurs()) return;
      show(slot, loaded / Math.max(1, total));
      say(slot, loaded < total ? `Sending ${file.name}: ${percent(loaded, total)}` : `Sent; being checked`);
    });
    request.addEventListener("loadend", () => {
      if (!isOurs()) return;
      sending[slot] = null;
      show(slot, null);
      arrived(slot, request);
    });
    request.open("POST", ADDRESS);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(file);
  }

  function arrived(slot, request) {
    let found = null;
    try {
      found = JSON.parse(request.responseText);
    } catch {
      // nothing came, or not from us
    }
    if (!found || !(found.fault || found.request)) {
      const refusal = found && found.rule ? `${found.rule} ${found.instance} ${found.remedy}` : UNSENT;
      return say(slot, request.status === 0 && request.stopped ? "Stopped; nothing of the file was kept." : refusal);
    }
    if (found.fault) return say(slot, found.fault);
    say(slot, "");
    element("file", slot).open = false;
    ours().shell.openRequest(slot, found.request);
  }

  function stop(slot) {
    if (!sending[slot]) return;
    sending[slot].stopped = true;
    sending[slot].abort();
  }

  /** Progress of what is being sent; null for nothing. */
  function show(slot, share) {
    const bar = element("file-bar", slot);
    bar.hidden = share === null;
    bar.value = share || 0;
    element("file-stop", slot).hidden = share === null;
    element("file-bring", slot).disabled = share !== null;
  }

  /** A slot's run has come on screen, or gone: mark one that came by a file. */
  function mark(slot, run) {
    runs[slot] = run;
    const file = run && run.phase === "done" ? run.file || null : null;
    element("file-mark", slot).hidden = !file;
    if (file === seen[slot]) return;
    seen[slot] = file;
    if (file) check(slot, file, "look");
  }

  async function check(slot, file, does) {
    const [button, verdict] = [element("file-check", slot), element("file-verdict", slot)];
    const compared = element("file-compared", slot);
    button.hidden = compared.hidden = true;
    verdict.textContent = does === "look" ? "" : "The check begins.";
    asker ||= ours().shell.newId();
    try {
      let state = await ask("/check", { file, do: does, asker: `${asker} ${slot}` });
      while (WAITS.includes(state.phase) && seen[slot] === file) {
        verdict.textContent = awaited(state);
        await new Promise((later) => setTimeout(later, AGAIN_MS));
        state = await ask("/check", { file, do: "ask", asker: `${asker} ${slot}` });
      }
      if (seen[slot] !== file) return;
      verdict.textContent = state.fault || (state.phase === "done" ? `${state.is_same ? "✓ Checked here" : "✗ Checked here"}: ${state.says}` : state.says);
      compared.hidden = !state.details;
      compared.querySelector("p").textContent = state.details || "";
      Object.assign(button.dataset, { does: state.phase === "failed" ? "retry" : "ask" });
      button.textContent = state.phase === "failed" ? "Check it again" : "Check it";
      button.hidden = !["unchecked", "failed"].includes(state.phase);
    } catch {
      if (seen[slot] !== file) return;
      verdict.textContent = FAILED;
      button.hidden = false;
    }
  }

  const DOES = { "file-take": take, "file-bring": choose, "file-stop": stop, "file-check": (slot) => check(slot, seen[slot], element("file-check", slot).dataset.does || "ask") };

  function listen() {
    document.addEventListener("click", ({ target }) => {
      const found = /^(file-(?:take|bring|stop|check))-([ab])$/.exec(target.id || "");
      if (found) DOES[found[1]](found[2]);
    });
    document.addEventListener("keydown", (event) => {
      const fold = event.key === "Escape" && event.target.closest && event.target.closest("details.file[open]");
      if (!fold) return;
      fold.open = false;
      fold.querySelector("summary").focus();
    });
  }

  const files = { told, percent, awaited, mark };
  if (typeof module !== "undefined") module.exports = files;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { files });
    listen();
  }
})();
