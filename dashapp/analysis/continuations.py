"""A tree of continuations: texts that share a beginning, merged where they agree. Knows tokens and log-probabilities.

Of each text the tree takes what comes after the root, a token that all of them have. It runs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["shown", "branch", "beam", "alternative"]  # in the order in which one hides another


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """What one text has after the root. tokens: ids. logprobs: of each given all before it, nats."""

    kind: Kind
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A token that follows its parent.

    depth: from 1, the root has 0. parent: its place in the list of nodes, None for the root. kind: of the first path
    through it. logprob: given all before it; total: of all tokens since the prompt, nats. row: from 0, the line that
    it is drawn on. path: the ids from the root's first child to this token.
    """

    token: int
    depth: int
    parent: int | None
    kind: Kind
    logprob: float
    total: float
    row: int
    path: tuple[int, ...]


def tree_of(paths: Sequence[Path], *, before: float, depth: int) -> list[Node]:
    """The nodes of all paths, down to a depth, parents before children.

    before: log-probability of the tokens from the prompt's end to the root, nats. A node's first child goes on in its
    row; every other begins a row of its own, so no two nodes of one depth share one.
    """
    nodes: list[Node] = []
    children: dict[tuple[int, ...], int] = {}  # path → place in nodes
    for path in paths:
        parent, total = None, before
        for i in range(min(depth, len(path.tokens))):
            total += path.logprobs[i]
            here = path.tokens[: i + 1]
            if here not in children:
                children[here] = len(nodes)
                made = Node(
                    token=path.tokens[i],
                    depth=i + 1,
                    parent=parent,
                    kind=path.kind,
                    logprob=path.logprobs[i],
                    total=total,
                    row=0,
                    path=here,
                )
                nodes.append(made)
            parent = children[here]
            total = nodes[parent].total
    return _in_rows(nodes)


def _in_rows(nodes: list[Node]) -> list[Node]:
    """The same nodes with their rows, in the order of a walk that takes each node's first child first."""
    of: dict[int | None, list[int]] = {}
    for place, node in enumerate(nodes):
        of.setdefault(node.parent, []).append(place)
    placed, n_rows = list(nodes), 0
    waiting = [(place, i == 0) for i, place in reversed(list(enumerate(of.get(None, []))))]
    while waiting:
        place, is_first = waiting.pop()
        parent = nodes[place].parent
        beside = 0 if parent is None else placed[parent].row
        row = beside if is_first else n_rows
        n_rows = max(n_rows, row + 1)
        placed[place] = replace(nodes[place], row=row)
        waiting += [(child, i == 0) for i, child in reversed(list(enumerate(of.get(place, []))))]
    return placed
