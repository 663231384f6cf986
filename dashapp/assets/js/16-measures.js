/**
 * Each token by the prediction in whose place it stands: probability, surprisal, rank, entropy; as shares of a scale, in
 * words, and as what the card of a token says. Pure functions; knows nothing of the page.
 *
 * Measures are what /strip-measures tells of a trace, decoded: {d_vocab, ids, bytes, ranks, others, words, logprobs,
 * entropies}, the last two Float32Arrays in nats with NaN for the first token.
 */
(function () {
  "use strict";

  const PER_BIT = { bits: 1, nats: Math.LN2 }; // units in a bit

  const quoted = (text) => (typeof window === "undefined" ? require("./10-tokens.js") : window.dash_clientside.tokens).quoted(text);
  const counted = (n) => n.toLocaleString("en");

  /** Three significant digits and a true minus. */
  function digits(value) {
    const text = value !== 0 && Math.abs(value) < 1e-4 ? value.toExponential(1) : String(Number(value.toPrecision(3)));
    return text.replace("-", "−");
  }

  /** A probability in per cent, as figures/numbers.py tells it: what is not all is never 100%, what is not nothing never 0%. */
  function percent(prob) {
    if (prob > 0 && prob < 1e-5) return "less than 0.001%";
    if (prob >= 0.99995 && prob < 1) return "more than 99.99%";
    return `${Number((100 * prob).toPrecision(prob >= 0.9995 && prob < 1 ? 4 : 3))}%`;
  }

  /** Nats in a unit of information, with it. @param {"bits"|"nats"} units */
  function information(nats, units) {
    const amount = (nats / Math.LN2) * PER_BIT[units];
    if (amount > 0 && amount < 1e-3) return `less than 0.001 ${units}`;
    const said = digits(amount);
    return `${said} ${said === "1" ? units.slice(0, -1) : units}`;
  }

  /**
   * What a strip can be coloured by. value: of a token, in nats where it is information. share: of the scale, 0..1.
   * The scales are the same for all prompts: none fits itself to what it shows.
   */
  const KINDS = {
    probability: {
      value: ({ logprobs }, pos) => Math.exp(logprobs[pos]),
      share: (value) => value,
      ends: () => ["0%", "100%"],
    },
    surprisal: {
      value: ({ logprobs }, pos) => -logprobs[pos],
      share: (value, { d_vocab: n }) => value / Math.log(n),
      ends: ({ d_vocab: n }, units) => ["0", `${information(Math.log(n), units)} or more`],
    },
    rank: {
      value: ({ ranks }, pos) => ranks[pos],
      share: (value, { d_vocab: n }) => Math.log1p(value) / Math.log(n),
      ends: ({ d_vocab: n }) => ["the favourite", `${counted(n - 1)} were likelier, logarithmic`],
    },
    entropy: {
      value: ({ entropies }, pos) => entropies[pos],
      share: (value, { d_vocab: n }) => value / Math.log(n),
      ends: ({ d_vocab: n }, units) => ["0", information(Math.log(n), units)],
    },
  };

  const WHAT = {
    probability: "Probability of each token, given those before it",
    surprisal: "Surprisal of each token",
    rank: "Rank of each token among all that could have come",
    entropy: "Entropy of the prediction in each token's place",
  };

  /** How high the bar of each token is and how deep its tint, 0..1; NaN where there is nothing to say: the first. */
  function shares(measures, kind) {
    const { value, share } = KINDS[kind];
    return Float32Array.from(measures.ids, (_, pos) =>
      pos === 0 ? NaN : Math.min(1, Math.max(0, share(value(measures, pos), measures)))
    );
  }

  /** What stands before, left and right of the scale. @returns {{what: string, ends: string[]}} */
  function legend(measures, kind, units) {
    return { what: WHAT[kind], ends: KINDS[kind].ends(measures, units) };
  }

  /** How many were likelier, in words. */
  function place(rank) {
    if (rank === 0) return "the favourite";
    return `${counted(rank)} ${rank === 1 ? "was" : "were"} likelier`;
  }

  /**
   * What the card of a token says, line by line. @param {"bits"|"nats"} units
   * @returns {{head: string, prediction: string[], others: {text: string, prob: string, isIt: boolean}[]}}
   */
  function card(measures, pos, text, units) {
    const bytes = measures.bytes[pos];
    const head = `${quoted(text)} token ${counted(pos)} · id ${counted(measures.ids[pos])} · ${bytes.length > 2 ? "bytes" : "byte"} ${bytes}`;
    if (pos === 0) return { head, prediction: ["The first token: nothing stands before it, so nothing was expected."], others: [] };
    const nats = -measures.logprobs[pos];
    const prediction = [
      `Probability ${percent(Math.exp(-nats))}, ${place(measures.ranks[pos])} (rank ${counted(measures.ranks[pos])})`,
      `Surprisal ${information(nats, units)}; entropy in its place ${information(measures.entropies[pos], units)}`,
    ];
    const { ids, probs } = measures.others[pos - 1];
    const others = ids.map((id, i) => ({ text: quoted(measures.words[id]), prob: percent(probs[i]), isIt: id === measures.ids[pos] }));
    return { head, prediction, others };
  }

  /** What the server told, with its numbers decoded. */
  function decoded({ logprobs, entropies, ...told }) {
    const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
    return { ...told, logprobs: floats(logprobs), entropies: floats(entropies) };
  }

  /** Draw shares on a strip's tokens. @param {Element} strip @param {Float32Array} found */
  function paint(strip, found) {
    strip.toggleAttribute("data-weighed", true);
    strip.childNodes.forEach((token, pos) => {
      delete token.dataset.attention;
      if (Number.isNaN(found[pos])) token.style.removeProperty("--weight");
      else token.style.setProperty("--weight", found[pos].toFixed(3));
    });
  }

  const measures = { KINDS, digits, percent, information, shares, legend, place, card, decoded, paint };
  if (typeof module !== "undefined") module.exports = measures;
  if (typeof window !== "undefined") window.dash_clientside = Object.assign({}, window.dash_clientside, { measures });
})();
