/**
 * The list of models: which there are, which is used next, and their downloads.
 * Knows rows of models as the server tells them; knows nothing of runs but the name of their model.
 */
(function () {
  "use strict";

  const UNDER_WAY = ["running", "checking", "stopping"];
  const LABELS = {
    ...{ here: "Use", absent: "Download", running: "Stop", checking: "Checking", stopping: "Stopping" },
    ...{ stopped: "Go on", failed: "Retry", unusable: "" },
  };
  const ORDERS = { absent: "download", stopped: "download", failed: "download", running: "stop" };

  /** A size as people say it: "12.3 MB", "1,204 MB"; as the server says it. */
  function megabytes(bytes) {
    const places = bytes < 99.95e6 ? 1 : 0;
    return `${(bytes / 1e6).toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places })} MB`;
  }

  /** How many parameters, with three digits: "124 M", "1.56 B". */
  function parameters(n) {
    if (!n) return "";
    return n < 1e9 ? `${Number((n / 1e6).toPrecision(3))} M` : `${Number((n / 1e9).toPrecision(3))} B`;
  }

  /** How long a download will go on, no more exactly than anybody can know. */
  function timeLeft(seconds) {
    if (seconds === null || seconds === undefined) return "";
    if (seconds < 60) return `about ${Math.max(1, Math.round(seconds))} s left`;
    if (seconds < 3600) return `about ${Math.round(seconds / 60)} min left`;
    return `about ${Math.round(seconds / 3600)} h left`;
  }

  /** The share of a download that is here, from 0 to 1. */
  function share(row) {
    return row.total_bytes ? Math.min(1, row.done_bytes / row.total_bytes) : 0;
  }

  /** What is to be said of a model, besides its name and size. */
  function said(row) {
    const part = `${megabytes(row.done_bytes).replace(" MB", "")} of ${megabytes(row.total_bytes)}`;
    switch (row.state) {
      case "absent":
        return "Not on this machine yet";
      case "unusable":
        return row.problem;
      case "running":
        if (!row.total_bytes) return "Asking the hub";
        return [part, `${Math.floor(100 * share(row))}%`, timeLeft(row.seconds_left)].filter(Boolean).join(" · ");
      case "checking":
        return "All of it is here. Checking that it is whole";
      case "stopping":
        return "Stopping";
      case "stopped":
        return row.total_bytes ? `Stopped at ${part}. What is here is kept.` : "Stopped";
      case "failed":
        return `${row.failure.rule} ${row.failure.instance} ${row.failure.remedy}`;
      default:
        return "";
    }
  }

  /**
   * What the chip says besides the model of the run: what Generate will use, and how downloads fare.
   * @param {Set<string>} arrived - models whose download has ended since the list was last looked at
   */
  function next(rows, current, chosen, arrived) {
    const loading = rows.filter((row) => row.state === "running").map((row) => `${row.name} ${Math.floor(100 * share(row))}% here`);
    const there = rows.filter((row) => row.state === "here" && arrived.has(row.name) && row.name !== chosen);
    const parts = [...(chosen && chosen !== current ? [`next: ${chosen}`] : []), ...loading, ...there.map((row) => `${row.name} is here`)];
    return parts.join(" · ");
  }

  /**
   * The downloads that were under way and are not any more: those that failed, and the names of those that are here.
   * @param {object[]} before @param {object[]} now - rows
   */
  function ended(before, now) {
    const wasUnderWay = new Set(before.filter((row) => UNDER_WAY.includes(row.state)).map((row) => row.name));
    const over = now.filter((row) => wasUnderWay.has(row.name));
    return { failed: over.filter((row) => row.state === "failed"), arrived: over.filter((row) => row.state === "here").map((row) => row.name) };
  }

  /** What the demo model is and how to get beyond it; empty for any other model. */
  function demoNote(rows, current) {
    if (current !== "demo") return "";
    const gpt2 = rows.find((row) => row.name === "gpt2");
    const way = {
      here: "choose gpt2 in the list of models above",
      unusable: "start the app with: make run MODEL=gpt2",
    }[gpt2 ? gpt2.state : "unusable"];
    return (
      "This is the small demo model that comes with the app, so its text is simple: it learned from children's books and " +
      "made-up lessons, and its previous-token and induction heads were set by hand before training. " +
      `To look inside GPT-2 itself, ${way || "download gpt2 in the list of models above"}.`
    );
  }

  // The page -----------------------------------------------------------------------------------------------------------

  let known = []; // the rows as they were last told
  const arrived = new Set();
  let isApart = false; // whether a person has chosen a model for b alone
  let nOrders = 0;

  const ours = () => window.dash_clientside;
  const picker = () => document.getElementById("model-picker");
  const order = (fields) => ours().set_props("models-order", { data: { ...fields, n: (nOrders += 1) } });

  /**
   * The chip and the list, from what the server told and what is chosen.
   * @param {object[]|null} rows @param {string} chosenA @param {string} chosenB - what each prompt bar will use
   */
  function draw(rows, chosenA, chosenB, runA, runB, requestA, requestB, defaultName) {
    tellEnded(known, rows || known);
    known = rows || known;
    if (!requestB && !isApart && chosenB !== chosenA) ours().set_props("model-b", { value: chosenA });
    const current = ofRun(runA, requestA) || defaultName;
    const other = ofRun(runB, requestB);
    const row = known.find((each) => each.name === current);
    drawList(known, chosenA, chosenB);
    const note = demoNote(known, current);
    const isQuiet = !known.some((each) => UNDER_WAY.includes(each.state));
    return [
      current,
      row ? ` ${parameters(row.n_params)}` : "",
      other && other !== current ? `b: ${other}` : "",
      next(known, current, chosenA, arrived),
      note,
      !note,
      isQuiet,
    ];
  }

  /** The name of the model that computed a run, or was asked to. */
  function ofRun(run, request) {
    return (run && run.model && run.model.name) || (request && request.model) || "";
  }

  /** A download ends when it will; whoever does not look at the list is told. */
  function tellEnded(before, now) {
    if (picker().open) return;
    const over = ended(before, now);
    over.arrived.forEach((name) => arrived.add(name));
    over.failed.forEach((row) => ours().toasts.say(row.failure));
  }

  function drawList(rows, chosenA, chosenB) {
    const list = document.getElementById("model-list");
    const items = new Map([...list.children].map((item) => [item.dataset.model, item]));
    rows.forEach((row, place) => {
      const item = items.get(row.name) || newItem(row.name);
      items.delete(row.name);
      // One that stands where it should is left there: what is moved loses the focus.
      if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null);
      fill(item, row, chosenA, chosenB);
    });
    items.forEach((item) => item.remove());
  }

  function newItem(name) {
    const item = document.createElement("li");
    item.dataset.model = name;
    const part = (tag, className) => {
      const made = document.createElement(tag);
      made.className = className;
      item.append(made);
      return made;
    };
    part("span", "model-name").textContent = name;
    part("span", "model-facts");
    for (const use of ["main", "a", "b"]) {
      const button = part("button", `quiet use-${use}`);
      button.type = "button";
      button.dataset.use = use;
    }
    part("progress", "bar").max = 1;
    part("p", "model-said");
    return item;
  }

  function fill(item, row, chosenA, chosenB) {
    const find = (className) => item.getElementsByClassName(className)[0];
    const text = (element, words) => element.textContent !== words && (element.textContent = words);
    item.dataset.state = row.state;
    const size = row.n_params ? `${parameters(row.n_params)} parameters` : "";
    text(find("model-facts"), [size, megabytes(row.size_bytes)].filter(Boolean).join(" · "));
    text(find("model-said"), said(row));
    find("model-said").setAttribute("role", row.state === "failed" ? "alert" : "note");
    const bar = find("bar");
    bar.hidden = !UNDER_WAY.includes(row.state);
    bar.value = share(row);
    bar.setAttribute("aria-label", `Download of ${row.name}`);
    const isHere = row.state === "here";
    const isInUse = isHere && chosenA === row.name;
    label(find("use-main"), isInUse ? "In use" : LABELS[row.state], row.name, isHere ? isInUse : null);
    find("use-main").hidden = row.state === "unusable";
    find("use-main").setAttribute("aria-disabled", String(["checking", "stopping"].includes(row.state)));
    for (const [slot, chosen] of [["a", chosenA], ["b", chosenB]]) {
      label(find(`use-${slot}`), `Use for ${slot}`, row.name, chosen === row.name);
      find(`use-${slot}`).hidden = !isHere;
    }
  }

  /** isPressed: null for a button that does something once. */
  function label(button, words, name, isPressed) {
    if (button.textContent !== words) button.textContent = words;
    button.setAttribute("aria-label", `${words}: ${name}`);
    if (isPressed === null) button.removeAttribute("aria-pressed");
    else button.setAttribute("aria-pressed", String(isPressed));
  }

  function press(button) {
    const name = button.closest("li").dataset.model;
    const row = known.find((each) => each.name === name);
    if (!row || button.getAttribute("aria-disabled") === "true") return;
    if (row.state !== "here") {
      if (ORDERS[row.state]) order({ do: ORDERS[row.state], name });
      return;
    }
    const { use } = button.dataset;
    if (use === "b") isApart = true;
    if (use !== "b") ours().set_props("model-a", { value: name });
    if (use !== "a") ours().set_props("model-b", { value: name });
    if (use === "main") close();
  }

  function close() {
    picker().open = false;
    picker().querySelector("summary").focus();
  }

  /** Listeners of the document, which outlive what Dash redraws. */
  function listen() {
    document.addEventListener("click", (event) => {
      const menu = picker();
      if (!menu) return;
      const button = event.target.closest("#model-list button");
      if (button) press(button);
      else if (menu.open && !menu.contains(event.target)) menu.open = false;
    });
    document.addEventListener("keydown", (event) => {
      const menu = picker();
      if (event.key !== "Escape" || !menu || !menu.open) return;
      close();
      event.preventDefault(); // before others hear of it: a toast stays
    }, true);
    document.addEventListener("toggle", (event) => {
      if (event.target !== picker() || !picker().open) return;
      arrived.clear();
      order({ do: "list" });
    }, true);
  }

  const models = { megabytes, parameters, timeLeft, said, next, ended, demoNote, draw };
  if (typeof module !== "undefined") module.exports = models;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { models });
    listen();
  }
})();
