"""Every error a person can meet says the rule, the instance and the remedy, in whole sentences."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

from dashapp import errors
from dashapp.errors import DashappError, in_megabytes, nearest_first

ROOT = Path(__file__).parents[1]

# Each class with values to make it from, and what of them its text must show where that is not the value itself.
EXAMPLES: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "EmptyPrompt": ({}, ()),
    "NoSecondPrompt": ({}, ()),
    "BadPins": ({"problem": "token 3 of a has two edits"}, ("Here token 3 of a has two edits.",)),
    "PromptTooLong": ({"n_tokens": 1203, "n_ctx": 1024}, ("1,203", "1,024", "179")),
    "PromptTooLarge": ({"size_bytes": 123_456, "limit_bytes": 65_536}, ("123,456", "65,536")),
    "NotOneToken": ({"text": "queenly", "tokens": ["queen", "ly"]}, ("'queenly' is 2 tokens: 'queen', 'ly'.",)),
    "NotADimension": ({"text": "x", "d_model": 768, "most": 6}, ("0 to 767", "at most 6", "'x'")),
    "NotAPart": ({"text": "L9H9", "problem": "is outside of the model"}, ("'L9H9' is outside of the model.",)),
    "NotThere": ({"what": "layer", "value": 1203, "n": 12}, ("A layer is a number from 0 to 11.", "1,203")),
    "NothingToLookAt": ({"query": 3}, ("token 3",)),
    "NotASum": ({"text": "king −"}, ("'king −'",)),
    "UnencodablePrompt": ({"position": 41, "character": "\ud83d"}, ("Character 42", r"'\ud83d'")),
    "BadSampling": (
        {"name": "top_p", "value": 1.5, "rule": "a share", "remedy": "Try 0.9."},
        ("Here it is 1.5.", "Top-p must be a share.", "Try 0.9."),
    ),
    "UnknownSetting": ({"name": "DASHAPP_PROT", "known": ["DASHAPP_HOST", "DASHAPP_PORT"]}, ("'DASHAPP_PORT', 'DAS",)),
    "BadSetting": (
        {"name": "DASHAPP_PORT", "value": "x", "rule": "is a number", "example": "8050"},
        ("DASHAPP_PORT is a number.", "'x'", "DASHAPP_PORT=8050"),
    ),
    "ProxyNotTrusted": ({"header": "X-Forwarded-User"}, ()),
    "SecretKeyMissing": ({}, ()),
    "UnknownAllowedModel": ({"name": "gtp2", "known": ["demo", "gpt2"]}, ("'gtp2'", "'gpt2', 'demo'")),
    "PortTaken": ({"host": "127.0.0.1", "port": 8050, "cause": "in use"}, ("127.0.0.1:8050", "DASHAPP_PORT=8051")),
    "TransformersMissing": ({"cause": "No module named 'transformers'"}, ("pip install transformers",)),
    "RedisNotSet": ({}, ()),
    "ScaleMissing": (
        {"what": "An object store", "cause": "No module named 'boto3'"},
        ("An object store needs", "'.[scale]'"),
    ),
    "NoModelNamed": ({}, ()),
    "UnknownModel": ({"name": "gpt3", "known": ["demo", "gpt2"]}, ("'gpt2', 'demo'",)),
    "ModelNotAllowed": ({"name": "gpt2-xl", "allowed": ["demo", "gpt2"]}, ("'gpt2', 'demo'",)),
    "ModelNotHere": ({"name": "gpt2"}, ()),
    "OtherWeights": (
        {"name": "gpt2", "wanted": "0123456789ab", "found": "fedcba9876543210"},
        ("'gpt2' of fingerprint 0123456789ab", "here has fedcba987654."),
    ),
    "ModelTooLarge": (
        {"name": "gpt2-xl", "needed_bytes": 6_400_000_000, "available_bytes": 31_250_000},
        ("6,400 MB", "31.2 MB"),
    ),
    "ModelUnreachable": ({"name": "gpt2", "hub": "http://127.0.0.1:1", "cause": "no route"}, ()),
    "DiskTooSmall": (
        {"name": "gpt2", "needed_bytes": 548_000_000, "folder": Path("hub"), "free_bytes": 12_340_000},
        ("548 MB", "12.3 MB"),
    ),
    "HubCacheUnwritable": ({"folder": Path("hub"), "cause": "read-only"}, ()),
    "WrongDownload": ({"name": "gpt2", "file": "x.bin", "hub": "http://127.0.0.1:1", "difference": "3 bytes"}, ()),
    "UnsupportedDtype": ({"dtype": "float16", "reason": "too narrow"}, ()),
    "NoSuchDevice": ({"device": "tpu", "known": ["cpu", "cuda"]}, ("'auto', 'cpu', 'cuda'",)),
    "NotAModelFolder": ({"folder": Path("here"), "missing": "config.json"}, ()),
    "UnreadableConfig": ({"path": Path("config.json"), "problem": "it is empty"}, ()),
    "UnsupportedConfig": (
        {"path": Path("config.json"), "field": "activation_function", "value": "relu", "accepted": "'gelu_new'"},
        ("activation_function = 'relu'", "activation_function is 'gelu_new'"),
    ),
    "ForeignTokenizer": ({"path": Path("tokenizer.json"), "problem": "its 'a' is 5"}, ()),
    "PickledWeights": ({"path": Path("pytorch_model.bin")}, ()),
    "DamagedFile": ({"path": Path("model.safetensors"), "problem": "it has 3 bytes"}, ()),
    "UnreadableIndex": ({"path": Path("index.json"), "problem": "it is a list"}, ()),
    "UntiedUnembedding": ({"path": Path("model.safetensors")}, ()),
    "MissingTensor": ({"path": Path("model.safetensors"), "name": "h.3.ln_1.bias"}, ()),
    "MisshapedTensor": (
        {"path": Path("model.safetensors"), "name": "wte.weight", "shape": [3, 4], "expected": (4, 3)},
        ("of shape (3, 4) instead of (4, 3)",),
    ),
    "MistypedTensor": ({"path": Path("model.safetensors"), "name": "wte.weight", "code": "I8"}, ()),
    "UnknownTensor": ({"path": Path("model.safetensors"), "name": "score.weight"}, ()),
    "OtherModels": ({"a": "demo", "b": "gpt2"}, ("'demo' and 'gpt2'",)),
    "OtherPlaces": ({"n_source": 1203, "n_target": 12}, ("1,203 tokens", "the target 12")),
    "NoDifference": ({"axis": "token"}, ("nothing in common: token.",)),
    "OtherSizes": ({"what": "layers", "a": 12, "b": 6}, ("number of layers", "of a has 12 and that of b 6")),
    "DamagedTrace": ({"path": Path("a.trace"), "problem": "its q changed"}, ()),
    "NotATrace": ({"path": Path("a.txt"), "problem": "it is text"}, ()),
    "TraceTooLarge": ({"size_bytes": 343_000_000, "limit_bytes": 99_940_000}, ("343 MB", "99.9 MB")),
    "StoreUnavailable": ({"folder": Path("cache"), "cause": OSError(13, "Permission denied")}, ()),
    "ObjectStoreUnavailable": (
        {"url": "s3://traces/gpt2", "endpoint": "http://127.0.0.1:9000", "cause": "connection refused"},
        ("'s3://traces/gpt2' at http://127.0.0.1:9000 did not", "connection refused."),
    ),
    "UnwritableFile": ({"path": "/a/b.trace", "cause": "it is a folder"}, ("'/a/b.trace'", "it is a folder")),
    "EmptySetting": ({"name": "top_k"}, ("Top-k must be a number. Here it is empty.",)),
    "NotText": ({"position": 6}, ("Byte 7",)),
    "WeightsMissing": (
        {"model": "gpt2", "fingerprint": "0123456789abcdef", "problem": "they are gone"},
        ("'gpt2'", "0123456789ab)", "they are gone."),
    ),
    "RecipeGone": ({"key": "0123456789abcdef0123456789abcdef"}, ("'01234567'",)),
    "RecipeTooLarge": ({"size_bytes": 1_234_567, "limit_bytes": 1_000_000}, ("1,234,567", "1,000,000")),
    "NotARunFile": ({"problem": "it is empty"}, ("was refused: it is empty.",)),
    "RunFileTooLarge": ({"size_bytes": 512_340_000, "limit_bytes": 99_940_000}, ("512 MB", "99.9 MB")),
    "RunFileOff": ({}, ()),
    "RunFileBroken": ({"n_bytes": 12_340_000, "size_bytes": 343_000_000}, ("12.3 MB of 343 MB",)),
    "RunFileGone": ({"key": "0123456789abcdef"}, ("'01234567'",)),
    "TooManyRunFiles": ({"n_files": 1234}, ("1,234",)),
    "NotAQuestion": ({}, ()),
    "AddressTooLong": ({"limit_bytes": 8190}, ("8,190 bytes", "Copy link")),
    "ShareUsedUp": (
        {"full_s": 1200, "each_minute_s": 15, "wait_s": 61.6},
        ("1,200 s of this server's processor", "and 15 s more", "Wait 62 s"),
    ),
    "NotSignedIn": ({}, ()),
    "NotSignedInByProxy": ({"header": "X-Forwarded-User"}, ()),
    "TooManyPasswords": ({"wait_s": 9.6}, ("Wait 10 s",)),
    "TooManyWaiting": ({"n_waiting": 1234}, ("at most 1,234 texts", "All 1,234 of yours")),
    "JobRefused": ({"request_id": "0123456789abcdef"}, ("'01234567'",)),
    "JobTimedOut": ({"limit_s": 1200}, ("1,200 s",)),
    "JobOutOfMemory": ({"limit_bytes": 1_234_567_890}, ("1,235 MB",)),
    "QueueUnavailable": ({"cause": "connection refused"}, ("connection refused.",)),
    "NoWorker": ({}, ()),
    "JobStopped": ({}, ()),
    "JobLost": ({}, ()),
    "TraceGone": ({}, ()),
    "NotThereYet": ({"work": "UMAP"}, ("has not: UMAP.",)),
    "UnexpectedFailure": ({"failure_id": "1f2e3d4c"}, ()),
}


def subclasses(of: type[DashappError]) -> list[type[DashappError]]:
    return [each for child in of.__subclasses__() for each in (child, *subclasses(child))]


# `errors` alone: a test's own subclass is no part of the tree.
CLASSES = {each.__name__: each for each in subclasses(DashappError) if each.__module__ == errors.__name__}
KINDS = {"PromptError", "ConfigError", "ModelError", "CheckpointError", "ComparisonError", "StoreError"}
KINDS |= {"DoorError", "JobError"}
BRANCHES = {name for name, each in CLASSES.items() if "__init__" not in vars(each)}  # kinds, without own sentence


def example(name: str) -> DashappError:
    error: DashappError = CLASSES[name](**EXAMPLES[name][0])  # type: ignore[arg-type]
    return error


def test_every_class_that_owns_a_sentence_has_an_example() -> None:
    assert CLASSES.keys() - BRANCHES == EXAMPLES.keys()
    assert sorted(BRANCHES) == sorted(KINDS)


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_part_of_a_message_is_whole_sentences(name: str) -> None:
    error = example(name)
    assert str(error) == f"{error.rule} {error.instance} {error.remedy}"
    for part in (error.rule, error.instance, error.remedy):
        assert re.search(r"[\w)'>][.?]$", part), f"ends in the middle: {part}"
        starts_with_a_value = any(part.startswith(str(value)) for value in EXAMPLES[name][0].values())
        assert re.match(r"[A-Z'`]", part) or starts_with_a_value, f"begins in the middle: {part}"
        assert part == part.strip()
        assert "  " not in part
        assert not re.search(r" [.,:;?]", part), f"a space before a mark: {part}"
        assert part.count("(") == part.count(")")


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_message_shows_the_values_it_was_given(name: str) -> None:
    values, shown = EXAMPLES[name]
    fragments = shown or [str(value) for value in values.values()]
    assert [each for each in fragments if each not in str(example(name))] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_cause_that_is_a_sentence_does_not_double_the_full_stop(name: str) -> None:
    values = EXAMPLES[name][0]
    told = {key: f"{value}." for key, value in values.items() if key in ("problem", "cause", "reason", "difference")}
    assert ".." not in str(CLASSES[name](**values | told))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_value_a_class_asks_for_is_in_its_example(name: str) -> None:
    """So that an argument that the sentence drops cannot hide behind a default."""
    assert list(inspect.signature(CLASSES[name]).parameters) == list(EXAMPLES[name][0])


def test_quoted_values_keep_their_repr() -> None:
    assert r"'a\nb'" in str(errors.UnknownModel("a\nb", ["demo"]))


def test_settings_of_the_sampler_are_named_as_on_the_page() -> None:
    from dashapp.shell.prompt_bar import NUMBERS

    assert {id_.replace("-", "_"): label for id_, label, *_ in NUMBERS} == errors.SAID_SETTINGS


def test_attributes_carry_what_callers_act_on() -> None:
    assert (errors.PromptTooLong(5, 3).n_tokens, errors.PromptTooLong(5, 3).n_ctx) == (5, 3)
    assert errors.BadSampling("top_k", -1, "a count", "Try 0.").name == "top_k"
    assert (errors.TraceTooLarge(5, 3).size_bytes, errors.TraceTooLarge(5, 3).limit_bytes) == (5, 3)
    assert (errors.ModelTooLarge("x", 5, 3).needed_bytes, errors.ModelTooLarge("x", 5, 3).available_bytes) == (5, 3)


# The tree ------------------------------------------------------------------------------------------------------------


def drawn_tree(docstring: str) -> dict[str, str]:
    """Class → base as the docstring draws them: `├──` lists children, `└──` inside a branch opens one of its own."""
    bases: dict[str, str] = {}
    top = branch = "DashappError"
    for line in docstring.splitlines():
        text = line.removeprefix("    ")
        if match := re.match(r"[├└]── (\w+)", text):
            top = branch = match[1]
            bases[top] = "DashappError"
        elif text.startswith(("│   ", "    ")):  # the last branch has no line at its left
            mark, names = text[4:8], re.findall(r"[A-Z]\w+", text[4:])
            if mark == "└── ":
                branch = names.pop(0)
                bases[branch] = top
            bases |= dict.fromkeys(names, top if mark == "├── " else branch)
    return bases


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    assert drawn_tree(errors.__doc__ or "") == {name: each.__bases__[0].__name__ for name, each in CLASSES.items()}


# Helpers of the sentences --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [(0, "0.0 MB"), (12_340_000, "12.3 MB"), (99_949_999, "99.9 MB"), (100_000_000, "100 MB"), (1_204e6, "1,204 MB")],
)
def test_sizes_are_said_in_megabytes(size_bytes: int, said: str) -> None:
    assert in_megabytes(size_bytes) == said


def test_known_names_are_listed_nearest_first_and_all_of_them() -> None:
    assert nearest_first("layr", ["head", "layer", "layers"]) == "'layer', 'layers', 'head'"
    assert nearest_first("x", []) == ""
    assert nearest_first("x", iter(["a", "b"])) == "'a', 'b'"


# Spaces lost where strings are joined (house style 43) ---------------------------------------------------------------


def joined_without_space(source: str) -> list[str]:
    """Upper lines of implicitly joined strings that do not end with a space or a line break (in figures, `<br>`)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno:
            if isinstance(node, ast.Constant) and not isinstance(node.value, str):
                continue
            segment = ast.get_source_segment(source, node) or ""
            if '"""' not in segment:
                upper = [line.strip() for line in segment.splitlines()[:-1]]
                found += [line for line in upper if not re.search(r"""( |\\n|<br>)["']$""", line)]
    return list(dict.fromkeys(found))  # the pieces of an f-string stand where the whole does


@pytest.mark.parametrize("path", sorted((ROOT / "dashapp").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_space_is_lost_between_joined_strings(path: Path) -> None:
    assert joined_without_space(path.read_text(encoding="utf-8")) == []


def test_a_lost_space_would_be_found() -> None:
    assert joined_without_space('x = ("one"\n     "two")') == ['"one"']
    assert joined_without_space('x = (f"one {1}"\n     "two")') == ['f"one {1}"']
    assert joined_without_space('x = ("one "\n     f"two {2}")') == []
    assert joined_without_space('x = """one\ntwo"""') == []
