"""The panel of the tree of continuations: the text on screen, its branches, likely tokens to branch at, and beams."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dashapp.analysis.continuations import Kind, Node, Path, tree_of
from dashapp.figures.continuations import number, tree
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.figures.tokens import plain_label
from dashapp.jobs.works import Work
from dashapp.model.tokenizer import token_text
from dashapp.panels.formulas import Formula
from dashapp.panels.panel import Branches, Drawn, Knob, Panel
from dashapp.panels.source import Source
from dashapp.traces.record import Trace

N_ALTERNATIVES: Final = 6
DEPTH, DEPTH_NARROW = 8, 3  # tokens after the root that are drawn
MOST_TOKENS_NAMED: Final = 24  # of a branch, where it is named in words


def draw(
    trace: Trace,
    *,
    pos: int,
    n_prompt: int,
    branches: Branches | None,
    width: str,
    length: str,  # noqa: ARG001  the work has it
    frame: Frame,
    result: Mapping[str, np.ndarray] | None = None,
) -> Drawn:
    """What comes after the selected token: on screen, in branches, likely next, and found by beam search."""
    n_typed = _n_typed(trace, n_prompt, branches)
    root = _root(trace, pos, n_typed)
    others = [Source.here().trace(key) for key in (branches.keys if branches else ())]
    here = [other for other in others if other is not None and _shares(other, trace, root)]
    beams = _beams(result)
    paths = [_rest("shown", trace, root), *(_rest("branch", other, root) for other in here), *beams]
    keys = [None, *(other.key for other in here), *(None for _ in beams)]
    if not paths[0].tokens:
        paths, keys = paths[1:], keys[1:]
    before = float(trace.read("logprob")[n_typed : root + 1].astype(np.float64).sum()) if n_typed else 0.0
    depth = DEPTH_NARROW if frame.is_narrow else DEPTH
    nodes = tree_of([*paths, *_alternatives(trace, root)], before=before, depth=depth)
    figure = tree(
        nodes,
        texts={node.token: token_text(node.token) for node in nodes},
        root=trace.token_texts[root],
        before=before,
        depth=depth,
        frame=frame,
    )
    told = {"key": trace.key, "root": root, "start": trace.token_ids[n_typed : root + 1].tolist()}
    told |= _told(nodes, paths, keys, before=before, frame=frame)
    figure.update_layout(meta={**figure.layout.meta, "tree": told})
    elsewhere = len(others) - len(here)
    foot = [
        "The tree begins at the end of the prompt, for a branch leaves there or later." if root > pos else "",
        f"Drawn are the first {depth} tokens." if any(len(path.tokens) > depth for path in paths) else "",
        _elsewhere(elsewhere),
        _beam_words(width, result),
        "● text on screen, ■ branch, ◆ beam, ○ likely next.",
    ]
    return Drawn(figure=figure, foot=" ".join(part for part in foot if part))


def work(trace: Trace, *, pos: int, n_prompt: int, branches: Branches | None, width: str, length: str) -> Work | None:
    """The beam search, where one is wanted and there is room for a token."""
    root = _root(trace, pos, _n_typed(trace, n_prompt, branches))
    if width == "0" or root + 1 >= trace.config.n_ctx:
        return None
    return Work(kind="beams", trace=trace.key, arguments={"pos": root, "width": int(width), "length": int(length)})


def _n_typed(trace: Trace, n_prompt: int, branches: Branches | None) -> int:
    return min(branches.n_typed if branches else n_prompt, trace.n_tokens)


def _root(trace: Trace, pos: int, n_typed: int) -> int:
    """The token that all continuations have before them: the selected one, or the last that was typed."""
    return min(max(pos, n_typed - 1), trace.n_tokens - 1)


def _shares(other: Trace, trace: Trace, root: int) -> bool:
    """Whether another text has the same tokens up to the root, of the same model."""
    if other.fingerprint != trace.fingerprint or other.n_tokens <= root + 1:
        return False
    return bool((other.token_ids[: root + 1] == trace.token_ids[: root + 1]).all())


def _rest(kind: Kind, trace: Trace, root: int) -> Path:
    ids, logprobs = trace.token_ids[root + 1 :], trace.read("logprob")[root + 1 :]
    return Path(kind=kind, tokens=tuple(ids.tolist()), logprobs=tuple(logprobs.tolist()))


def _beams(result: Mapping[str, np.ndarray] | None) -> list[Path]:
    if result is None:
        return []
    rows = zip(result["tokens"], result["logprobs"], strict=True)
    return [
        Path(kind="beam", tokens=tuple(tokens[tokens >= 0].tolist()), logprobs=tuple(logprobs[tokens >= 0].tolist()))
        for tokens, logprobs in rows
    ]


def _alternatives(trace: Trace, root: int) -> list[Path]:
    if root + 1 >= trace.config.n_ctx:
        return []
    ids, logprobs = (trace.read(name)[root, :N_ALTERNATIVES] for name in ("top_ids", "top_logprobs"))
    return [
        Path(kind="alternative", tokens=(token,), logprobs=(logprob,))
        for token, logprob in zip(ids.tolist(), logprobs.tolist(), strict=True)
    ]


def _told(  # what 65-tree.js reads
    nodes: Sequence[Node], paths: Sequence[Path], keys: Sequence[str | None], *, before: float, frame: Frame
) -> dict[str, Any]:
    """What the browser needs to open what is clicked: of each node its path, and each path whole, in words too."""

    def path_of(node: Node) -> int | None:
        return next((i for i, path in enumerate(paths) if path.kind == node.kind and _is_on(node, path)), None)

    return {
        "nodes": [
            {
                "kind": node.kind,
                "depth": node.depth,
                "path": path_of(node),
                "tokens": node.path,
                "text": plain_label(token_text(node.token)),
                "prob": percent(math.exp(node.logprob)),
            }
            for node in nodes
        ],
        "paths": [
            {
                "kind": path.kind,
                "key": key,
                "tokens": path.tokens,
                "text": _in_words(path),
                "total": f"{number(before + math.fsum(path.logprobs), frame)} {frame.units}",
            }
            for path, key in zip(paths, keys, strict=True)
        ],
    }


def _in_words(path: Path) -> str:
    said = "".join(plain_label(token_text(token)) for token in path.tokens[:MOST_TOKENS_NAMED])
    return f"{said}…" if len(path.tokens) > MOST_TOKENS_NAMED else said


def _is_on(node: Node, path: Path) -> bool:
    return path.tokens[: node.depth] == node.path


def _elsewhere(n: int) -> str:
    if not n:
        return ""
    told = (
        "1 branch leaves earlier or ends here, or is" if n == 1 else f"{n} branches leave earlier or end here, or are"
    )
    return f"{told} no longer in the cache: select an earlier token."


def _beam_words(width: str, result: Mapping[str, np.ndarray] | None) -> str:
    if width == "0":
        return ""
    return "" if result is None else f"Beam search kept the {len(result['tokens'])} most probable texts at each step."


CONTINUATIONS = Panel(
    name="continuations",
    title="Ways to go on",
    question="After the selected token, how else could the text go on, and how probable is each way?",
    about=(
        "A mark is a token. The number below it is the log-probability of everything from the end of the prompt to it: "
        "the logarithms of its tokens' probabilities, each given all before it, added up.",
        Formula("continuation"),
        "Click a hollow mark to draw another text from there: a branch. It begins with the keys and values that are "
        "stored for what it shares with the text on screen, so shared tokens are not run again; what its layers did is "
        "then traced in one whole pass.",
        "Beam search continues its texts by every token and keeps the most probable few at each step. A text that has "
        "ended with <|endoftext|> stays as it is. Wide beams find more probable texts, and those are often dull.",
        "Sources: Lowerre 1976 (beam search); Holtzman et al. 2020 (why probable text is dull).",
        "It does not show all texts: of 50,257 tokens at each step a few are followed.",
    ),
    reads=("pos", "n_prompt", "branches"),
    marks="tree",
    knobs=(
        Knob(name="width", label="Beam search", options={"0": "off", **{str(n): f"{n} wide" for n in range(2, 6)}}),
        Knob(name="length", label="Beam length", options={"4": "4", "8": "8", "16": "16"}, start="8"),
    ),
    draw=draw,
    work=work,
    no_numbers="A tree of texts is no array: it can be taken away as a picture.",
)
