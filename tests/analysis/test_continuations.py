"""The tree of continuations: shared beginnings once, sums along each path, no two nodes in one place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashapp.analysis.continuations import Path, tree_of

SHOWN = Path(kind="shown", tokens=(1, 2, 3), logprobs=(-1.0, -2.0, -0.5))
BRANCH = Path(kind="branch", tokens=(1, 5, 6), logprobs=(-1.0, -3.0, -0.25))
OTHER = Path(kind="alternative", tokens=(7,), logprobs=(-4.0,))


def test_a_tree_by_hand() -> None:
    nodes = tree_of([SHOWN, BRANCH, OTHER], before=-10, depth=9)
    assert [(node.token, node.depth, node.parent, node.kind, node.total, node.row) for node in nodes] == [
        (1, 1, None, "shown", -11, 0),
        (2, 2, 0, "shown", -13, 0),
        (3, 3, 1, "shown", -13.5, 0),
        (5, 2, 0, "branch", -14, 1),
        (6, 3, 3, "branch", -14.25, 1),
        (7, 1, None, "alternative", -14, 2),
    ]
    assert nodes[4].path == (1, 5, 6)


def test_a_tree_is_cut_at_its_depth() -> None:
    assert [node.token for node in tree_of([SHOWN, BRANCH], before=0, depth=1)] == [1]
    assert tree_of([], before=0, depth=5) == []


tokens = st.lists(st.integers(0, 3), max_size=5).map(tuple)


@given(st.lists(tokens, max_size=8))
def test_every_path_is_there_once_with_the_sum_of_its_logprobs(texts: list[tuple[int, ...]]) -> None:
    paths = [Path(kind="branch", tokens=text, logprobs=tuple(-1.0 - token for token in text)) for text in texts]
    nodes = tree_of(paths, before=-2, depth=9)
    assert {node.path for node in nodes} == {text[: i + 1] for text in texts for i in range(len(text))}
    assert len({node.path for node in nodes}) == len(nodes)
    for node in nodes:
        assert node.total == pytest.approx(-2 - sum(1 + token for token in node.path))
        assert (node.parent is None) == (node.depth == 1)
        if node.parent is not None:
            assert nodes[node.parent].path == node.path[:-1]
            assert nodes[node.parent].row <= node.row
    assert len({(node.depth, node.row) for node in nodes}) == len(nodes)
