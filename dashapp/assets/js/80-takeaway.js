/**
 * What a panel's menu takes away: the figure as a picture, made here; its numbers and its Python, asked of the server.
 * What the page's menu takes away: all of its panels in one file, asked of the server too.
 * Knows figures, files and the server's address; knows nothing of Dash.
 */
(function () {
  "use strict";

  const ADDRESS = "/take-away";
  const PAGE_ADDRESS = "/report";
  const SCALE = 2; // pixels of a PNG to one on the page
  const MARGIN = 16; // pixels around a picture
  const LINES = { title: [20, 600, 26], question: [14, 400, 20], foot: [13, 400, 18] }; // size, weight, height
  const FONTS = { Inter: "inter-latin", "JetBrains Mono": "jetbrains-mono-latin" };

  const escaped = (text) => text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);

  /**
   * A text as lines that are no wider than they may be; a word that is too long has a line of its own.
   * @param {string} text @param {number} width @param {(line: string) => number} measure
   */
  function wrapped(text, width, measure) {
    const lines = [];
    for (const word of text.split(/\s+/).filter(Boolean)) {
      const longer = lines.length ? `${lines[lines.length - 1]} ${word}` : word;
      if (lines.length && measure(longer) <= width) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  }

  /**
   * A picture of a figure with what stands around it on the page.
   * @param {string} svg - of the figure alone
   * @param {{width: number, height: number}} size - of the figure
   * @param {{title: string[], question: string[], foot: string[]}} said - lines
   * @param {{paper: string, ink: string, muted: string, fonts: string}} looks - colours; fonts: rules of a style sheet
   * @returns {{svg: string, width: number, height: number}}
   */
  function framed(svg, size, said, looks) {
    const [above, top] = texts(["title", "question"], said, looks, MARGIN);
    const start = top + (top > MARGIN ? 6 : 0);
    const [below, end] = texts(["foot"], said, looks, start + size.height + (said.foot.length ? 6 : 0));
    const [width, height] = [size.width + 2 * MARGIN, end + MARGIN];
    const inner = svg.replace(/^<svg /, `<svg x="${MARGIN}" y="${start}" `);
    const head = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`;
    const sheet = `<style>${looks.fonts}text{font-variant-ligatures:none !important}</style>`; // as the page has them
    const paper = `<rect width="${width}" height="${height}" fill="${looks.paper}"/>`;
    return { svg: `${head}${sheet}${paper}${above}${inner}${below}</svg>`, width, height };
  }

  /** Lines of text from a height down, and the height below them. */
  function texts(kinds, said, looks, from) {
    let y = from;
    const drawn = kinds.flatMap((kind) => {
      const [size, weight, height] = LINES[kind];
      const colour = kind === "title" ? looks.ink : looks.muted;
      return said[kind].map((line) => {
        y += height;
        const font = `font-family="Inter, system-ui, sans-serif" font-size="${size}" font-weight="${weight}"`;
        return `<text x="${MARGIN}" y="${y - height * 0.3}" ${font} fill="${colour}">${escaped(line)}</text>`;
      });
    });
    return [drawn.join(""), y];
  }

  /** The name of a file in the header of an answer. @param {string|null} header */
  function fileName(header) {
    const found = /filename="([^"\/\\]+)"/.exec(header || "");
    return found ? found[1] : "figure";
  }

  const SELECTED = ["pos", "layer", "head", "neuron", "target", "against"];

  /**
   * What the server is asked for a whole page; null where no panel has anything to show.
   * @param {string} page - its name
   * @param {{panel: string, slot: string, view: object|null, why: string}[]} panels - in the order of the page
   * @param {Object<string, {run: object, shown: object}>} prompts - of each slot with one, and what it shows as selected
   * @param {string} pins - what is decided of the alignment of two prompts
   */
  function pageAsked(page, panels, prompts, pins = "") {
    const drawn = panels.find(({ view }) => view);
    if (!drawn) return null;
    const { theme, text, units, narrow } = drawn.view;
    const promptOf = ({ run, shown }) => {
      const selected = Object.fromEntries(SELECTED.map((field) => [field, shown[field] ?? null]));
      return { key: run.trace, n_prompt: run.nPrompt, settings: run.settings || null, selected: { ...selected, key_pos: shown.key ?? null } };
    };
    const told = Object.fromEntries(Object.entries(prompts).map(([slot, prompt]) => [slot, promptOf(prompt)]));
    return { page, looks: { theme, text, units, narrow }, prompts: told, panels, pins: told.b ? pins : "" };
  }

  // The page -----------------------------------------------------------------------------------------------------------

  const FAILED = "It could not be made. Try again; if it fails again, reload the page.";
  const views = new Map(); // "panel slot" → the view that the figure shows; null for none
  const placeOf = ({ panel, slot }) => `${panel} ${slot}`;

  /** A figure has come for a view. @param {{panel: string, slot: string}} id @param {object|null} view */
  function remember(id, view) {
    views.set(placeOf(id), view);
  }

  const PATIENCE_MS = 20000; // for what panels show
  const STEP_MS = 20;
  const shows = new Map(); // "panel slot" → {view, why}: what a panel shows or, near the window, would show
  let runs = {}; // of both slots, with the selection and the alignment

  /** A panel has put its view together, whether it is near enough to be drawn or not. */
  function show(id, shown, now) {
    shows.set(placeOf(id), shown);
    runs = now;
  }

  const menuOf = (target) => target.closest("details.take-away");
  const say = (menu, text) => (menu.querySelector(".take-said").textContent = text);

  /** A button of a menu was pressed. */
  async function take(button) {
    const menu = menuOf(button);
    if (button.dataset.take === "page") return takePage(menu);
    const { panel, slot } = menu.dataset;
    const view = views.get(placeOf({ panel, slot }));
    const graph = menu.closest(".panel").querySelector(".panel-body:not(.is-waiting) .js-plotly-plot");
    if (!view || !graph) return say(menu, "Nothing is drawn yet.");
    const { take: kind } = button.dataset;
    say(menu, "Being made");
    try {
      if (kind === "png" || kind === "svg") await takePicture(menu, graph, kind, `${panel}-${view.key.slice(0, 8)}.${kind}`);
      else await takeNumbers(menu, { panel, view, as: kind });
    } catch {
      say(menu, FAILED);
    }
  }

  async function takePage(menu) {
    say(menu, "Being made");
    try {
      const panels = await panelsOnPage();
      const asked = pageAsked(document.querySelector("#page h1").textContent, panels, promptsOnPage(), pinsOnPage());
      if (!asked) return say(menu, "Nothing is drawn yet.");
      await takeFile(menu, PAGE_ADDRESS, asked);
    } catch {
      say(menu, FAILED);
    }
  }

  /** Every panel of the page with what it shows: those too far from the window to be drawn are asked what they would. */
  async function panelsOnPage() {
    const places = [...document.querySelectorAll("#page details.take-away[data-panel]")].map(({ dataset }) => dataset);
    shows.clear();
    window.dash_clientside.panels.callEven();
    const since = performance.now();
    while (places.some((place) => !shows.has(placeOf(place)))) {
      if (performance.now() - since > PATIENCE_MS) throw new Error("a panel does not answer");
      await new Promise((later) => setTimeout(later, STEP_MS));
    }
    return places.map(({ panel, slot }) => ({ panel, slot, ...shows.get(placeOf({ panel, slot })) }));
  }

  /** The prompts that have been traced: of slot b on Compare alone, which shows it. */
  function promptsOnPage() {
    const { shell } = window.dash_clientside;
    const slots = document.getElementById("shell").dataset.page === "/compare" ? ["a", "b"] : ["a"];
    const traced = slots.filter((slot) => runs[slot] && runs[slot].phase === "done");
    return Object.fromEntries(
      traced.map((slot) => [slot, { run: runs[slot], shown: shell.shown(runs[slot], slot, runs.selection, runs.alignment) }])
    );
  }

  const pinsOnPage = () => window.dash_clientside.compare.pinsOf(runs.alignment, runs.a, runs.b) || "";

  async function takePicture(menu, graph, kind, name) {
    const picture = await pictureOf(graph, menu.closest(".panel"));
    const svg = new Blob([picture.svg], { type: "image/svg+xml" });
    save(kind === "svg" ? svg : await rasterised(svg, picture), name);
    say(menu, `Saved as ${name}.`);
  }

  async function pictureOf(graph, panel) {
    const { width, height } = graph._fullLayout; // what is drawn, whatever was asked
    const svg = await window.Plotly.toImage(graph, { format: "svg", imageDataOnly: true, width, height });
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const looks = { paper: colour("--paper"), ink: colour("--ink"), muted: colour("--muted"), fonts: await fonts() };
    return framed(svg, { width, height }, saidBy(panel, width), looks);
  }

  /** What stands above and below a figure, as lines of its width. */
  function saidBy(panel, width) {
    const pen = document.createElement("canvas").getContext("2d");
    const lines = ([kind, selector]) => {
      const [size, weight] = LINES[kind];
      pen.font = `${weight} ${size}px Inter, system-ui, sans-serif`;
      const element = panel.querySelector(selector);
      return [kind, wrapped(element ? element.textContent : "", width, (line) => pen.measureText(line).width)];
    };
    return Object.fromEntries([["title", "h2"], ["question", ".question"], ["foot", ".foot"]].map(lines));
  }

  let fontRules = null;

  /** The app's fonts as part of a picture, for one that is opened elsewhere finds no others. */
  function fonts() {
    fontRules ||= Promise.all(
      Object.entries(FONTS).map(async ([family, file]) => {
        const bytes = new Uint8Array(await (await fetch(`/assets/fonts/${file}.woff2`)).arrayBuffer());
        const coded = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
        return `@font-face{font-family:"${family}";font-weight:100 900;src:url(data:font/woff2;base64,${coded})}`;
      })
    ).then((rules) => rules.join(""));
    return fontRules;
  }

  async function rasterised(svg, { width, height }) {
    const address = URL.createObjectURL(svg);
    try {
      const image = new Image();
      image.src = address;
      await image.decode();
      const canvas = Object.assign(document.createElement("canvas"), { width: width * SCALE, height: height * SCALE });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      return await new Promise((made, failed) => canvas.toBlob((blob) => (blob ? made(blob) : failed()), "image/png"));
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  async function takeNumbers(menu, asked) {
    if (asked.as !== "python") return takeFile(menu, ADDRESS, asked);
    const answer = await answerTo(menu, ADDRESS, asked);
    if (!answer) return;
    say(menu, "");
    showPython(menu, await answer.text());
  }

  /** What the server answers; null where it says what stands in the way, which is then said. */
  async function answerTo(menu, address, asked) {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(asked),
    });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    if (!answer.headers.get("Content-Type").startsWith("application/json")) return answer;
    say(menu, (await answer.json()).fault);
    return null;
  }

  async function takeFile(menu, address, asked) {
    const answer = await answerTo(menu, address, asked);
    if (!answer) return;
    const name = fileName(answer.headers.get("Content-Disposition"));
    save(await answer.blob(), name);
    say(menu, `Saved as ${name}.`);
  }

  function save(blob, name) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000); // not before a slow disk has it
  }

  const element = (id) => document.getElementById(id);

  function showPython(menu, text) {
    element("snippet-title").textContent = `Python: ${menu.closest(".panel").querySelector("h2").textContent}`;
    element("snippet-code").textContent = text;
    element("snippet-said").textContent = "";
    element("snippet").showModal();
    element("snippet-copy").focus();
  }

  async function copy() {
    const code = element("snippet-code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      element("snippet-said").textContent = "Copied.";
    } catch {
      getSelection().selectAllChildren(code); // over plain http a browser may not let a page copy
      element("snippet-said").textContent = "It is selected: copy it with Ctrl+C.";
    }
  }

  const open = () => [...document.querySelectorAll("details.take-away[open]")];

  /** Close menus but one, which gives its focus back where it had it. */
  function close(but = null, givesFocus = false) {
    for (const menu of open().filter((each) => each !== but)) {
      if (givesFocus && menu.contains(document.activeElement)) menu.querySelector("summary").focus();
      menu.open = false;
      say(menu, "");
    }
  }

  function listen() {
    document.addEventListener("click", (event) => {
      const { target } = event;
      close(menuOf(target));
      if (target.matches("[data-take]")) take(target);
      if (target.id === "snippet-copy") copy();
      if (target.id === "snippet-close") element("snippet").close();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || !event.target.closest("details.take-away[open]")) return;
      close(null, true);
      event.stopPropagation();
    });
    document.addEventListener(
      "toggle",
      ({ target }) => {
        if (target.matches("details.take-away[open]")) target.querySelector(".take-menu").scrollIntoView({ block: "nearest" });
      },
      true // it does not bubble
    );
    document.addEventListener("focusin", (event) => {
      if (event.target.closest && !event.target.closest("dialog")) close(menuOf(event.target));
    });
  }

  const takeaway = { wrapped, framed, fileName, pageAsked, remember, show };
  if (typeof module !== "undefined") module.exports = takeaway;
  if (typeof window !== "undefined") {
    window.dash_clientside = Object.assign({}, window.dash_clientside, { takeaway });
    listen();
  }
})();
