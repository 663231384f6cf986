from __future__ import annotations

import pytest

from dashapp.errors import NotASum, NotOneToken
from dashapp.model.tokenizer import END_OF_TEXT_ID, encode, token_text
from dashapp.panels.terms import Term, said, terms_of, token_of

D_VOCAB = 50_257


def texts(typed: str) -> list[tuple[int, str]]:
    return [(term.sign, token_text(term.token)) for term in terms_of(typed, d_vocab=D_VOCAB)]


@pytest.mark.parametrize("typed", ["king − man + woman", " king - man + woman ", "+ king − man + woman"])
def test_a_sum_is_read_with_either_minus(typed: str) -> None:
    assert texts(typed) == [(1, " king"), (-1, " man"), (1, " woman")]


def test_a_sum_may_begin_with_a_minus_and_be_one_word() -> None:
    assert texts("− man") == [(-1, " man")]
    assert texts("king") == [(1, " king")]


def test_a_hyphen_within_a_word_is_no_minus() -> None:
    with pytest.raises(NotOneToken, match="king-man"):
        terms_of("king-man", d_vocab=D_VOCAB)
    assert texts("'-' + '+'") == [(1, "-"), (1, "+")]


def test_a_word_is_the_token_after_a_blank_where_there_is_one() -> None:
    assert token_text(token_of("cat", d_vocab=D_VOCAB)) == " cat"
    for quoted in ("'cat'", '"cat"', "‘cat’", "“cat”"):
        assert token_text(token_of(quoted, d_vocab=D_VOCAB)) == "cat"
    assert token_text(token_of("' cat'", d_vocab=D_VOCAB)) == " cat"


def test_a_token_can_be_named_by_its_number() -> None:
    assert token_of(f"#{END_OF_TEXT_ID}", d_vocab=D_VOCAB) == END_OF_TEXT_ID
    with pytest.raises(NotOneToken, match="is no token"):
        token_of("#50257", d_vocab=D_VOCAB)


def test_what_is_several_tokens_is_refused_with_its_pieces() -> None:
    with pytest.raises(NotOneToken, match="tokens: '·") as refused:
        token_of("xyzzyplugh", d_vocab=D_VOCAB)
    assert "in quotes" in str(refused.value)


@pytest.mark.parametrize("typed", ["king − ", "king + + man", " + ".join(["cat"] * 9)])
def test_what_is_no_sum_is_refused(typed: str) -> None:
    with pytest.raises((NotASum, NotOneToken)):
        terms_of(typed, d_vocab=D_VOCAB)


def test_a_token_that_the_model_has_not_is_refused() -> None:
    with pytest.raises(NotOneToken):
        token_of("cat", d_vocab=17)


def test_a_sum_is_said_with_true_minuses() -> None:
    king, man = (int(encode(text)[0]) for text in (" king", " man"))
    assert said([Term(1, king), Term(-1, man)]) == "‘·king’ − ‘·man’"
    assert said([Term(-1, man), Term(1, king)]) == "− ‘·man’ + ‘·king’"
