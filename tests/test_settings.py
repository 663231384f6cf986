from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from dashapp.errors import BadSetting, ProxyNotTrusted, SecretKeyMissing, UnknownSetting
from dashapp.settings import PREFIX, SECRETS, Settings, flag, setting_help, setting_names, variable

# A value of each setting that is not its default, as a person writes it, and what it means.
GIVEN: dict[str, tuple[str, object]] = {
    "host": ("0.0.0.0", "0.0.0.0"),
    "port": ("9000", 9000),
    "model": ("gpt2", "gpt2"),
    "models": ("demo, gpt2-xl ,", ("demo", "gpt2-xl")),
    "models_dir": ("/srv/models", Path("/srv/models")),
    "cache_dir": ("~/traces", Path.home() / "traces"),
    "cache_size": ("2.5GB", 2_500_000_000),
    "largest_file": ("2MB", 2_000_000),
    "store": ("s3://traces/gpt2/", "s3://traces/gpt2"),
    "store_endpoint": ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
    "redis": ("rediss://:secret@10.0.0.5:6379/1", "rediss://:secret@10.0.0.5:6379/1"),
    "device": ("cpu", "cpu"),
    "dtype": ("bfloat16", "bfloat16"),
    "jobs": ("3", 3),
    "job_timeout_s": ("60", 60),
    "job_memory": ("4GB", 4_000_000_000),
    "secret_key": ("0123456789abcdef", "0123456789abcdef"),
    "password": ("correct horse", "correct horse"),
    "auth_header": ("X-Forwarded-User", "X-Forwarded-User"),
    "trusted_proxies": ("2", 2),
    "visitor_seconds": ("0", 0),
    "log_level": ("DEBUG", "DEBUG"),
    "log_format": ("json", "json"),
}

# Values that are refused, with a part of the sentence that says the rule.
BAD: list[tuple[str, str, str]] = [
    ("host", "", "must not be empty"),
    ("port", "0", "from 1 to 65535"),
    ("port", "65536", "from 1 to 65535"),
    ("port", "80.5", "from 1 to 65535"),
    ("port", "http", "from 1 to 65535"),
    ("model", "  ", "must not be empty"),
    ("models", " , ", "list of model names"),
    ("models_dir", " ", "is a folder"),
    ("cache_dir", "~nobody-of-that-name/cache", "is a folder"),
    ("largest_file", "auto", "is a size, or 0"),
    ("cache_size", "0", "at least one byte"),
    ("cache_size", "0.0000001KB", "at least one byte"),
    ("cache_size", "-1GB", "at least one byte"),
    ("cache_size", "much", "at least one byte"),
    ("cache_size", "9" * 400, "at least one byte"),
    ("store", "s3://", "a bucket"),
    ("store", "/srv/traces", "a bucket"),
    ("store", "s3://UPPER/x", "a bucket"),
    ("store", "s3://traces/../other bucket", "a bucket"),
    ("store_endpoint", "127.0.0.1:9000", "http:// or https://"),
    ("store_endpoint", "http://name:secret@host", "http:// or https://"),
    ("redis", "10.0.0.5:6379", "is redis:// and a host"),
    ("redis", "http://10.0.0.5", "is redis:// and a host"),
    ("device", "gpu", "one of auto, cpu, cuda, mps"),
    ("dtype", "float16", "one of float32, bfloat16"),
    ("jobs", "0", "above zero"),
    ("job_timeout_s", "1.5", "above zero"),
    ("job_memory", "0", "at least one byte"),
    ("secret_key", "short", "at least 16 characters"),
    ("password", "short", "at least 12 characters"),
    ("auth_header", "X-User: me", "name of a header"),
    ("trusted_proxies", "-1", "from 0 to 9"),
    ("trusted_proxies", "10", "from 0 to 9"),
    ("visitor_seconds", "1", "10 or more"),
    ("visitor_seconds", "auto", "10 or more"),
    ("log_format", "xml", "one of text, json"),
    ("log_level", "loud", "one of DEBUG, INFO, WARNING, ERROR"),
]


# The table -----------------------------------------------------------------------------------------------------------


def test_the_tests_know_every_setting() -> None:
    assert list(GIVEN) == setting_names()
    assert {name for name, _, _ in BAD} == set(GIVEN)


@pytest.mark.parametrize("name", setting_names())
def test_a_setting_has_help_a_variable_and_a_flag(name: str) -> None:
    assert setting_help(name)[0].isupper()
    assert setting_help(name).endswith(".")
    assert variable(name) == PREFIX + name.upper()
    assert flag(name) == "--" + name.replace("_", "-")


@pytest.mark.parametrize("name", setting_names())
def test_a_setting_is_read_from_its_variable_and_from_its_flag(name: str) -> None:
    text, value = GIVEN[name]
    assert getattr(Settings.read({}), name) != value, "or this test would say nothing"
    behind = {variable("trusted_proxies"): "1"} if name == "auth_header" else {}
    assert getattr(Settings.read(behind | {variable(name): text}), name) == value
    assert getattr(Settings.read(behind, **{name: text}), name) == value


def test_flags_win_over_variables_and_absent_flags_do_not() -> None:
    environ = {"DASHAPP_PORT": "9000"}
    assert Settings.read(environ, port="9001").port == 9001
    assert Settings.read(environ, port=None).port == 9000


@pytest.mark.parametrize(("name", "value", "rule"), BAD)
def test_a_bad_value_is_refused_by_what_it_was_given_as(name: str, value: str, rule: str) -> None:
    with pytest.raises(BadSetting, match=rf"^{variable(name)} .*{rule}") as refused:
        Settings.read({variable(name): value})
    shown = "(not shown)" if name in SECRETS else value
    assert f"It is {shown!r}." in str(refused.value)
    assert f"{variable(name)}=" in refused.value.remedy
    with pytest.raises(BadSetting, match=rf"^{flag(name)} .*{rule}"):
        Settings.read({}, **{name: value})


@pytest.mark.parametrize("name", setting_names())
def test_the_example_in_a_refusal_is_accepted(name: str) -> None:
    bad = next(value for known, value, _ in BAD if known == name)
    with pytest.raises(BadSetting) as refused:
        Settings.read({variable(name): bad})
    example = re.search(rf"{variable(name)}=(.*?)( instead\.)?$", refused.value.remedy)
    assert example
    Settings.read({variable("trusted_proxies"): "1", variable(name): example[1]})


def test_an_unknown_variable_is_refused_with_the_nearest_known_first() -> None:
    with pytest.raises(UnknownSetting, match=r"'DASHAPP_PROT' is not\..*nearest first: 'DASHAPP_PORT'"):
        Settings.read({"DASHAPP_PROT": "9000"})


def test_variables_of_others_are_left_alone() -> None:
    assert Settings.read({"PORT": "9000", "XDASHAPP_PORT": "9000", "dashapp_port": "9000"}) == Settings.read({})


def test_without_environ_the_processs_own_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHAPP_PORT", "9002")
    assert Settings.read().port == 9002


def test_a_header_is_believed_only_behind_a_proxy() -> None:
    with pytest.raises(ProxyNotTrusted, match="'X-Forwarded-User' and DASHAPP_TRUSTED_PROXIES is 0"):
        Settings.read({"DASHAPP_AUTH_HEADER": "X-Forwarded-User"})


def test_web_processes_that_share_jobs_need_one_key() -> None:
    assert Settings.read({"DASHAPP_SECRET_KEY": "0123456789abcdef"}).shared_secret_key == "0123456789abcdef"
    with pytest.raises(SecretKeyMissing, match="'auto', which gives each its own"):
        _ = Settings().shared_secret_key


@pytest.mark.parametrize(
    ("variables", "is_shared"),
    [
        ({}, False),
        ({"DASHAPP_HOST": "localhost"}, False),
        ({"DASHAPP_HOST": "0.0.0.0"}, True),
        ({"DASHAPP_TRUSTED_PROXIES": "1"}, True),
    ],
)
def test_a_server_that_others_can_reach_is_a_shared_one(variables: dict[str, str], is_shared: bool) -> None:
    assert Settings.read(variables).is_shared == is_shared


def test_settings_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().port = 1  # type: ignore[misc]


# Values --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1", 1),
        ("1000", 1000),
        ("100B", 100),
        ("2KB", 2_000),
        ("3 mb", 3_000_000),
        ("8GB", 8_000_000_000),
        ("1.5tb", 1_500_000_000_000),
        (" auto ", None),
        ("AUTO", None),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size_bytes: int | None) -> None:
    assert Settings.read({"DASHAPP_CACHE_SIZE": text}).cache_size == size_bytes


def test_default_folders_are_in_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert Settings.read({}).cache_dir == Path("/somewhere/cache/dashapp/cache")
    assert Settings.read({}).models_dir == Path("/somewhere/cache/dashapp/models")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Settings.read({}).cache_dir == Path.home() / ".cache/dashapp/cache"


def test_fingerprints_are_kept_in_the_cache_folder() -> None:
    assert Settings(cache_dir=Path("/c")).fingerprints_file == Path("/c/fingerprints.json")


def test_another_process_can_be_given_the_same_settings() -> None:
    """All but secrets: the key that signs goes another way, and jobs ask for no password."""
    settings = Settings.read({variable(name): text for name, (text, _) in GIVEN.items()})
    assert not {variable(name) for name in SECRETS} & settings.environ().keys()
    assert Settings.read(settings.environ()) == dataclasses.replace(settings, secret_key=None, password="", redis=None)
    assert Settings.read(Settings.read({}).environ()) == Settings.read({})
