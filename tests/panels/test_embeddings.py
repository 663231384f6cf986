from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest

from dashapp.analysis.embeddings import pca, similarity, vectors
from dashapp.figures.embeddings import MOST_SHADES, by_likeness, by_token
from dashapp.figures.embeddings import vector_map as vector_map_figure
from dashapp.figures.numbers import percent
from dashapp.figures.theme import Frame
from dashapp.jobs.works import Work
from dashapp.model.gpt2 import GPT2
from dashapp.panels import vector_map, vector_rows, vector_similarity
from dashapp.panels.panel import Drawn
from dashapp.panels.vector_map import FEWEST, VECTOR_MAP
from dashapp.panels.vectors import VECTORS, Which, chosen
from dashapp.traces.capture import capture
from dashapp.traces.record import Trace, trace_metadata
from tests.doubles import TINY_TEXT, random_weights

LIGHT = Frame(theme="light")
NARROW = Frame(theme="dark", is_narrow=True)
LAST = TINY_TEXT.n_layer - 1


class Known:
    """The weights of the tiny model."""

    fingerprint = "f" * 64

    def float32(self, name: str, *, dtype: str = "float32") -> np.ndarray:
        return random_weights(TINY_TEXT)[name]


def traced(model: GPT2, n_tokens: int) -> Trace:
    ids = np.arange(100, 100 + n_tokens, dtype=np.int32)
    metadata = trace_metadata(TINY_TEXT, fingerprint="f" * 64, model="tiny", dtype="float32")
    return capture(model, ids, metadata, weights=Known())


@pytest.fixture(scope="module", params=[1, 2, FEWEST - 1, TINY_TEXT.n_ctx])
def trace(request: pytest.FixtureRequest, text_model: GPT2) -> Trace:
    return traced(text_model, request.param)


@pytest.fixture(scope="module")
def seven(text_model: GPT2) -> Trace:
    return traced(text_model, 7)


def mapped(trace: Trace, **chosen: Any) -> Drawn:
    knobs: dict[str, Any] = {knob.name: knob.default for knob in VECTOR_MAP.knobs}
    told = {"pos": None, "layer": None, "n_prompt": trace.n_tokens, "frame": LIGHT, **knobs, **chosen}
    return vector_map.draw(trace, **told)


def points_of(drawn: Drawn) -> np.ndarray:
    return np.concatenate([np.stack([data.x, data.y], axis=1) for data in drawn.figure.data])


# Which vectors -------------------------------------------------------------------------------------------------------


def test_the_knob_offers_every_kind_of_vector() -> None:
    assert set(VECTORS.options) == set(get_args(Which))


def test_the_stream_follows_the_selected_layer_and_says_so(seven: Trace) -> None:
    within, out = chosen("within", 2), chosen("out", 2)
    np.testing.assert_array_equal(vectors(seven, within.of), seven.resid_mid[2])
    np.testing.assert_array_equal(vectors(seven, out.of), seven.resid_post[2])
    assert within.said == "Shown: the residual stream within layer 2, after attention."
    assert out.said == "Shown: the residual stream out of layer 2."
    assert chosen("out", None).said == (
        "No layer is selected: choose one above the figures. Shown: the residual stream out of layer 0."
    )


def test_embeddings_do_not_depend_on_the_layer() -> None:
    for which in ("sum", "token", "position"):
        assert chosen(which, 2) == chosen(which, None)


# Rows ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("of", get_args(Which))
def test_rows_are_the_chosen_vectors(trace: Trace, of: Which) -> None:
    drawn = vector_rows.draw(trace, layer=1, of=of, order="number", frame=LIGHT)
    np.testing.assert_array_equal(drawn.figure.data[0].z, vectors(trace, chosen(of, 1).of))
    assert drawn.foot.startswith("Shown: ")


def test_the_foot_names_the_largest_dimensions_and_what_lies_beyond_the_colours(text_model: GPT2) -> None:
    trace = traced(text_model, TINY_TEXT.n_ctx)
    values = np.zeros((13, 768), dtype=np.float32)
    values[:, :384] = 1
    values[2:, 7] = -5
    values[2, 7] = -9
    foot = vector_rows._beyond(values, trace)
    assert foot.startswith("Colours reach to ±1; 0.11% of the values lie beyond, the furthest at −9 (token 2 ‘")
    assert foot.endswith("dimension 7).")
    shown = vector_rows.draw(trace, layer=None, of="token", order="number", frame=LIGHT)
    sizes = np.sqrt(np.square(vectors(trace, "token")[1:]).mean(axis=0))
    assert f"by root mean square, {sizes.argmax()} ({sizes.max():.3g})," in shown.foot


def test_nothing_beyond_and_nothing_pooled_is_not_mentioned(seven: Trace) -> None:
    foot = vector_rows.draw(seven, layer=None, of="sum", order="variance", frame=LIGHT).foot
    assert "beyond" not in foot
    assert "Too many" not in foot


def test_pooling_is_said() -> None:
    assert vector_rows._pooling(np.zeros((1024, 768)), LIGHT) == (
        "Too many to show each: a cell is 4 tokens and has the value furthest from zero."
    )
    assert "a cell is 4 tokens × 3 dimensions and" in vector_rows._pooling(np.zeros((1024, 768)), NARROW)


# Map -----------------------------------------------------------------------------------------------------------------


def test_pca_is_drawn_at_once_with_its_shares_on_the_axes(seven: Trace) -> None:
    drawn, found = mapped(seven, of="out", layer=LAST), pca(seven.resid_post[LAST])
    np.testing.assert_array_equal(points_of(drawn), found.points)
    shares = [percent(float(share)) for share in found.shares]
    assert drawn.figure.layout.xaxis.title.text == f"component 1 ({shares[0]} of the variance)"
    assert drawn.figure.layout.yaxis.title.text == f"component 2 ({shares[1]})"
    assert f"The two axes hold {shares[0]} and {shares[1]} of the variance." in drawn.foot
    assert "UMAP" not in drawn.foot


def test_while_umap_is_not_there_pca_is_shown_and_said(seven: Trace) -> None:
    drawn = mapped(seven, method="umap")
    np.testing.assert_array_equal(points_of(drawn), pca(vectors(seven, "sum")).points)
    assert "This is PCA, until UMAP is there." in drawn.foot


def test_umap_is_shown_once_it_is_there(seven: Trace) -> None:
    points = np.random.default_rng(0).standard_normal((7, 2), dtype=np.float32)
    drawn = mapped(seven, method="umap", result={"points": points}, seed="2", min_dist="0.3")
    np.testing.assert_array_equal(points_of(drawn), points)
    assert (
        "UMAP with all 6 other tokens as neighbours, minimum distance 0.3, distance between vectors, seed 2."
        in drawn.foot
    )
    assert "until" not in drawn.foot
    assert "%" not in drawn.figure.layout.xaxis.title.text


def test_a_result_is_not_shown_to_who_wants_pca(seven: Trace) -> None:
    drawn = mapped(seven, method="pca", result={"points": np.zeros((7, 2))})
    np.testing.assert_array_equal(points_of(drawn), pca(vectors(seven, "sum")).points)


def umap_of(trace: Trace, **chosen: Any) -> Work | None:
    knobs: dict[str, Any] = {knob.name: knob.default for knob in VECTOR_MAP.knobs}
    told = {"pos": None, "layer": None, "n_prompt": trace.n_tokens, **knobs, "method": "umap", **chosen}
    return vector_map.work(trace, **told)


def test_umap_is_asked_for_with_the_vectors_and_settings_of_the_view(seven: Trace) -> None:
    found = umap_of(seven, of="out", layer=2, n_neighbors="20", min_dist="0.8", metric="cosine", seed="1")
    assert found is not None
    assert (found.kind, found.trace) == ("umap", seven.key)
    settings = {"n_neighbors": 20, "min_dist": 0.8, "metric": "cosine", "seed": 1}
    assert found.arguments == {"of": 2 * 2 + 2, **settings}


def test_what_does_not_change_the_umap_map_does_not_compute_it_again(seven: Trace) -> None:
    keys = [
        umap_of(seven, **chosen)
        for chosen in ({}, {"layer": 2}, {"n_prompt": 3}, {"first": "out"}, {"colour": "token"})
    ]
    assert len({each.key for each in keys if each is not None}) == 1
    others = [
        umap_of(seven, **chosen) for chosen in ({"of": "token"}, {"seed": "1"}, {"of": "out"}, {"min_dist": "0.3"})
    ]
    assert len({each.key for each in [keys[0], *others] if each is not None}) == 5


def test_umap_is_not_asked_for_in_vain(text_model: GPT2, seven: Trace) -> None:
    assert umap_of(seven, method="pca") is None
    assert umap_of(traced(text_model, FEWEST - 1)) is None
    assert umap_of(traced(text_model, FEWEST)) is not None


@pytest.mark.parametrize(("n_tokens", "have"), [(1, "1 token"), (4, "4 tokens")])
def test_too_few_tokens_for_umap_are_said(text_model: GPT2, n_tokens: int, have: str) -> None:
    foot = mapped(traced(text_model, n_tokens), method="umap").foot
    assert f"UMAP needs at least 5 tokens and this text has {have}, so this is PCA." in foot


def test_the_first_token_can_be_left_out_of_the_map(seven: Trace) -> None:
    drawn = mapped(seven, first="out")
    found = pca(vectors(seven, "sum")[1:])
    assert np.isnan(points_of(drawn)[0]).all()
    np.testing.assert_allclose(points_of(drawn)[1:], found.points, atol=1e-9)  # as in the test of `pca`
    assert "The first token is left out." in drawn.foot


def test_a_map_of_one_or_two_tokens_leaves_none_out(text_model: GPT2) -> None:
    for n_tokens in (1, 2):
        drawn = mapped(traced(text_model, n_tokens), first="out")
        assert np.isfinite(points_of(drawn)).all()
        assert "left out" not in drawn.foot
    assert "There is 1 vector, and nothing varies." in mapped(traced(text_model, 1)).foot


def test_what_was_generated_has_other_marks(seven: Trace) -> None:
    prompt, generated = mapped(seven, n_prompt=5).figure.data
    assert (list(prompt.customdata), list(generated.customdata)) == ([0, 1, 2, 3, 4], [5, 6])
    assert (prompt.marker.symbol, generated.marker.symbol) == ("circle", "diamond")


def test_three_components_are_a_space_with_their_shares_at_the_axes(seven: Trace) -> None:
    drawn, found = mapped(seven, method="pca3", n_prompt=5), pca(vectors(seven, "sum"), n_components=3)
    prompt, generated, ring = drawn.figure.data
    for i, axis in enumerate("xyz"):
        np.testing.assert_array_equal([*prompt[axis], *generated[axis]], found.points[:, i])
    assert (prompt.type, ring.meta) == ("scatter3d", "ring")
    titles = [drawn.figure.layout.scene[axis].title.text for axis in ("xaxis", "yaxis", "zaxis")]
    assert all(percent(float(share)) in title for share, title in zip(found.shares, titles, strict=True))
    assert drawn.figure.layout.scene.aspectmode == "data"  # distances are distances
    assert "The three axes hold" in drawn.foot


def test_a_name_in_a_space_is_never_taken_for_markup(text_model: GPT2) -> None:
    ids = np.array([27, 65, 29, 500], dtype=np.int32)  # "<", "b", ">" and a word
    metadata = trace_metadata(TINY_TEXT, fingerprint="f" * 64, model="tiny", dtype="float32")
    drawn = mapped(capture(text_model, ids, metadata, weights=Known()), method="pca3")
    assert drawn.figure.data[0].text[:3] == ("", "b", ">")
    assert "1 of 4 names have no room" in drawn.foot
    assert drawn.figure.data[0].hovertext[0].startswith("token 0 ‘&lt;’")


def coloured(drawn: Drawn) -> list[float]:
    return [value for points in drawn.figure.data for value in points.marker.color]


def test_colours_are_what_was_chosen(text_model: GPT2, seven: Trace) -> None:
    assert coloured(mapped(seven)) == [0, 1, 2, 3, 4, 5, 6]
    assert coloured(mapped(seven, colour="part", n_prompt=5)) == [0, 0, 0, 0, 0, 1, 1]
    alike = mapped(seven, colour="likeness", pos=2, of="out", layer=1)
    cosines = similarity(seven.resid_post[1], centred=True).cosines[2]
    np.testing.assert_array_equal(coloured(alike), cosines.astype(np.float64))
    assert alike.figure.data[0].hovertext[2].endswith("cosine 1.000 with token 2")
    assert "Colours are the cosine with the selected token" in alike.foot


def test_the_same_token_has_the_same_colour_and_one_that_stands_once_has_none(text_model: GPT2) -> None:
    ids = np.array([500, 7, 500, 9, 7, 500, 11], dtype=np.int32)
    metadata = trace_metadata(TINY_TEXT, fingerprint="f" * 64, model="tiny", dtype="float32")
    trace = capture(text_model, ids, metadata, weights=Known())
    drawn = mapped(trace, colour="token")
    assert coloured(drawn) == [0, 1, 0, -1, 1, 0, -1]
    assert drawn.figure.data[0].hovertext[0].endswith("3 times in this text")
    many = by_token(np.repeat(np.arange(20), 2), LIGHT)
    assert set(many.values) == {-1, *range(MOST_SHADES)}  # others share the colour of those that stand once


def test_a_thousand_tokens_in_a_space_fit_a_response() -> None:
    points = np.random.default_rng(0).standard_normal((1024, 3))
    figure = vector_map_figure(
        points,
        texts=["\U0001f642<&>" * 5] * 1024,
        n_prompt=512,
        axes=("one", "two", "three"),
        colouring=by_likeness(np.zeros(1024), 3, LIGHT),
        revision="r",
        frame=LIGHT,
    )
    assert len(figure.to_json()) < 2_000_000


def test_a_zoom_is_kept_while_the_same_is_mapped(seven: Trace) -> None:
    one, other = mapped(seven, n_prompt=5, frame=LIGHT), mapped(seven, n_prompt=5, frame=NARROW)
    assert one.figure.layout.uirevision == other.figure.layout.uirevision
    assert one.figure.layout.uirevision != mapped(seven, of="token").figure.layout.uirevision


# Likeness ------------------------------------------------------------------------------------------------------------


def test_likeness_is_that_of_the_chosen_vectors(trace: Trace) -> None:
    for centre, centred in (("raw", False), ("mean", True)):
        drawn = vector_similarity.draw(trace, layer=1, of="out", centre=centre, frame=LIGHT)  # type: ignore[arg-type]
        expected = similarity(trace.resid_post[1], centred=centred)
        np.testing.assert_array_equal(drawn.figure.data[0].z, expected.cosines)


def test_the_foot_says_the_mean_cosine_and_what_has_none(text_model: GPT2, seven: Trace) -> None:
    found = similarity(vectors(seven, "token"), centred=False)
    foot = vector_similarity.draw(seven, layer=None, of="token", centre="raw", frame=LIGHT).foot
    mean = f"{found.mean:.3g}".replace("-", "−")
    assert f"The mean cosine of all pairs of tokens but those with the first is {mean}." in foot
    two = vector_similarity.draw(traced(text_model, 2), layer=None, of="token", centre="mean", frame=LIGHT).foot
    assert "The mean cosine of the two tokens is −1." in two
    one = vector_similarity.draw(traced(text_model, 1), layer=None, of="token", centre="mean", frame=LIGHT).foot
    assert "No cosine for 1 token's vector: equal to the mean" in one


def test_rounding_and_crops_are_said_where_they_happen() -> None:
    assert vector_similarity.limits(480, LIGHT) == (
        "Angles are shown and told within half a degree; colours are their cosines."
    )
    assert vector_similarity.limits(479, LIGHT) == ""
    assert "half a degree" not in vector_similarity.limits(600, LIGHT)  # on 300 cells
    assert vector_similarity.limits(1024, LIGHT).startswith("Too many to show each: a cell is 2 × 2 tokens and has")
    assert vector_similarity.limits(1024, NARROW).startswith("Cropped to 80 of 1,024 tokens")
    assert vector_similarity.limits(41, NARROW).startswith("Cropped to 40 of 41 tokens")
    assert vector_similarity.limits(40, NARROW) == ""
