"""Every setting of the app in one table: its name, default, and what it does.

A setting is a flag of `dashapp serve` (`--cache-dir`) and a variable (`DASHAPP_CACHE_DIR`); a flag wins. An unknown
DASHAPP_ variable is refused, for it is a misspelt one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from dashapp.errors import BadSetting, ProxyNotTrusted, SecretKeyMissing, UnknownSetting

PREFIX = "DASHAPP_"
SECRETS = ("secret_key", "password", "redis")  # not for screens, logs and other processes
SIZE_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def _setting(default: object, parse: Callable[[str, str], object], says: str) -> Any:
    metadata = {"parse": parse, "help": says}
    return (
        field(default_factory=default, metadata=metadata)
        if callable(default)
        else field(default=default, metadata=metadata)
    )


def _text(name: str, value: str) -> str:
    if not value.strip():
        raise BadSetting(name, value, "must not be empty", "demo")
    return value.strip()


def _port(name: str, value: str) -> int:
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise BadSetting(name, value, "is a port number from 1 to 65535", "8050")
    return int(value)


def _folder(name: str, value: str) -> Path:
    if not value.strip():
        raise BadSetting(name, value, "is a folder", "~/gpt2")
    try:
        return Path(value.strip()).expanduser()
    except RuntimeError as error:  # "~somebody" for whom there is no home
        raise BadSetting(name, value, "is a folder", "~/gpt2") from error


def _names(name: str, value: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in value.split(",") if part.strip())
    if not names:
        raise BadSetting(name, value, "is a list of model names with commas between", "demo,gpt2")
    return names


def _size(name: str, value: str) -> int | None:
    if value.strip().lower() == "auto":
        return None
    match = re.fullmatch(r"(\d{1,18}(?:\.\d+)?)\s*([KMGT]?B)?", value.strip().upper())
    size_bytes = int(float(match[1]) * SIZE_UNITS[match[2] or ""]) if match else 0
    if size_bytes == 0:
        raise BadSetting(name, value, "is a size of at least one byte, or 'auto'", "8GB")
    return size_bytes


def _largest_file(name: str, value: str) -> int:
    if value.strip() == "0":
        return 0
    size_bytes = None if value.strip().lower() == "auto" else _size(name, value)
    if size_bytes is None:
        raise BadSetting(name, value, "is a size, or 0 to open no files", "500MB")
    return size_bytes


def _seconds(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise BadSetting(name, value, "is a whole number of seconds above zero", "600")
    return int(value)


def _secret(name: str, value: str) -> str | None:
    if value.strip().lower() == "auto":
        return None
    if len(value.strip()) < 16:
        raise BadSetting(name, "(not shown)", "has at least 16 characters, or is 'auto'", "$(openssl rand -hex 32)")
    return value.strip()


def _password(name: str, value: str) -> str:
    if 0 < len(value.strip()) < 12:
        raise BadSetting(name, "(not shown)", "has at least 12 characters, or none", "$(openssl rand -hex 12)")
    return value.strip()


def _header(name: str, value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]*", value.strip()):
        raise BadSetting(name, value, "is the name of a header, or empty", "X-Forwarded-User")
    return value.strip()


def _proxies(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) > 9:
        raise BadSetting(name, value, "is a number of proxies from 0 to 9", "1")
    return int(value)


def _share(name: str, value: str) -> int:
    if not value.isdecimal() or 0 < int(value) < 10:
        raise BadSetting(name, value, "is a whole number of seconds, 10 or more, or 0 for no limit", "120")
    return int(value)


def _count(name: str, value: str) -> int | None:
    if value.strip().lower() == "auto":
        return None
    if not value.isdecimal() or int(value) == 0:
        raise BadSetting(name, value, "is a whole number above zero, or 'auto'", "2")
    return int(value)


def _bucket(name: str, value: str) -> str | None:
    value = value.strip()
    if value.lower() == "auto":
        return None
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*/?", value, flags=re.ASCII):
        raise BadSetting(name, value, "is s3:// with a bucket and perhaps a prefix, or 'auto'", "s3://traces/gpt2")
    return value.rstrip("/")


def _endpoint(name: str, value: str) -> str | None:
    value = value.strip()
    if value.lower() == "auto":
        return None
    if not re.fullmatch(r"https?://[^\s/@]+/?", value):
        raise BadSetting(name, value, "is http:// or https:// and a host, or 'auto'", "http://127.0.0.1:9000")
    return value.rstrip("/")


def _redis(name: str, value: str) -> str | None:
    value = value.strip()
    if value.lower() == "auto":
        return None
    if not re.fullmatch(r"rediss?://(\S*@)?[^\s/@]+(/\d+)?", value):
        raise BadSetting(name, "(not shown)", "is redis:// and a host, or 'auto'", "redis://127.0.0.1:6379/0")
    return value


def _one_of(*choices: str) -> Callable[[str, str], str]:
    def parse(name: str, value: str) -> str:
        if value not in choices:
            raise BadSetting(name, value, f"is one of {', '.join(choices)}", choices[0])
        return value

    return parse


def _cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dashapp"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process. `Settings.read()` takes them from the environment."""

    host: str = _setting("127.0.0.1", _text, "Address that the server listens on.")
    port: int = _setting(8050, _port, "Port that the server listens on.")
    model: str = _setting("demo", _text, "Model that is loaded at start.")
    models: tuple[str, ...] = _setting(
        ("demo", "distilgpt2", "gpt2"),
        _names,
        "Models that visitors may load or download, with commas between; folders under the models folder are always "
        "allowed.",
    )
    models_dir: Path = _setting(
        lambda: _cache_home() / "models", _folder, "Folder of models in Hugging Face format, one folder each."
    )
    cache_dir: Path = _setting(
        lambda: _cache_home() / "cache", _folder, "Folder of traces, runs, long links and fingerprints."
    )
    cache_size: int | None = _setting(
        None, _size, "Most that traces may take on disk, such as 8GB; 'auto' is 8 GB or a quarter of the free disk."
    )
    largest_file: int = _setting(
        500 * 10**6,
        _largest_file,
        "Largest file of a run that visitors may open, such as 500MB, which 1,024 tokens of gpt2 fit in; 0 opens none.",
    )
    store: str | None = _setting(
        None,
        _bucket,
        "Object store that several machines keep traces, runs and long links in, such as s3://bucket/prefix; 'auto' "
        "is the cache folder. Its credentials come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
    )
    store_endpoint: str | None = _setting(
        None, _endpoint, "Address of the object store's server; 'auto' is Amazon's, or what AWS_ENDPOINT_URL says."
    )
    redis: str | None = _setting(
        None,
        _redis,
        "Redis that web servers and workers on several machines speak through, such as redis://host:6379/0; 'auto' is "
        "none, and then the server runs jobs itself.",
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = _setting(
        "auto", _one_of("auto", "cpu", "cuda", "mps"), "Device that models run on."
    )
    dtype: Literal["float32", "bfloat16"] = _setting(
        "float32", _one_of("float32", "bfloat16"), "Numbers that models compute with."
    )
    jobs: int | None = _setting(None, _count, "Jobs that run at once; 'auto' is one for each processor core.")
    job_timeout_s: int = _setting(600, _seconds, "Seconds after which a job is ended.")
    job_memory: int | None = _setting(
        None,
        _size,
        "Most memory that a job may take beside the weights, such as 4GB; 'auto' is what is free when it begins. "
        "On Linux; elsewhere there is no limit.",
    )
    secret_key: str | None = _setting(
        None, _secret, "Key that signs what browsers send back; 'auto' is made once and kept in the cache folder."
    )
    password: str = _setting(
        "", _password, "Password that all visitors share; without one, who reaches the server is in."
    )
    auth_header: str = _setting(
        "", _header, "Header in which a proxy names whom it has signed in; without it in a request, nobody is in."
    )
    trusted_proxies: int = _setting(
        0, _proxies, "Proxies in front of the server, which are believed who asks and whether over TLS."
    )
    visitor_seconds: int = _setting(
        120,
        _share,
        "Seconds of the web process that one visitor may use at once, of which a quarter comes back each second; "
        "0 sets no limit.",
    )
    log_level: str = _setting("INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "What is logged.")
    log_format: Literal["text", "json"] = _setting(
        "text", _one_of("text", "json"), "Log lines as text for people, or one JSON object each for programs."
    )

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None, **flags: object) -> Settings:
        """Settings from `environ` (os.environ), overridden by `flags`; a flag that is None is absent.

        Raises: UnknownSetting, BadSetting, ProxyNotTrusted.
        """
        environ = os.environ if environ is None else environ
        known = {variable(name): name for name in setting_names()}
        given: dict[str, tuple[str, str]] = {}  # what was given, and by which name an error calls it
        for key, value in environ.items():
            if key.startswith(PREFIX) and key not in known:
                raise UnknownSetting(key, known)
            if key in known:
                given[known[key]] = key, value
        given |= {name: (flag(name), str(value)) for name, value in flags.items() if value is not None}
        parsers = {each.name: each.metadata["parse"] for each in fields(cls)}
        made = cls(**{name: parsers[name](said_as, value) for name, (said_as, value) in given.items()})
        if made.auth_header and not made.trusted_proxies:
            raise ProxyNotTrusted(made.auth_header)
        return made

    @property
    def fingerprints_file(self) -> Path:
        """Where the fingerprints of weights are kept."""
        return self.cache_dir / "fingerprints.json"

    @property
    def recipes_dir(self) -> Path:
        """Where the prompts of long links are kept."""
        return self.cache_dir / "recipes"

    @property
    def is_shared(self) -> bool:
        """Whether others than the person at this machine can be expected."""
        return self.trusted_proxies > 0 or self.host not in ("127.0.0.1", "::1", "localhost")

    @property
    def shared_secret_key(self) -> str:
        """The key of web processes that share jobs. Raises: SecretKeyMissing."""
        if self.secret_key is None:
            raise SecretKeyMissing
        return self.secret_key

    @property
    def n_jobs(self) -> int:
        """How many jobs run at once."""
        return self.jobs or n_cores()

    @property
    def threads_per_job(self) -> int:
        """Threads that a job computes with, so that all jobs together keep every core busy and no more."""
        return max(1, n_cores() // self.n_jobs)

    def environ(self) -> dict[str, str]:
        """The variables that give another process these settings; no secret is told."""
        given = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in SECRETS}
        texts = {name: ",".join(value) if isinstance(value, tuple) else str(value) for name, value in given.items()}
        return {variable(name): text for name, text in texts.items() if given[name] is not None}


def n_cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # macOS has none
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def setting_names() -> list[str]:
    """The names of all settings, in the order of the table."""
    return [each.name for each in fields(Settings)]


def setting_help(name: str) -> str:
    """What a setting does, in a sentence."""
    return next(str(each.metadata["help"]) for each in fields(Settings) if each.name == name)


def variable(name: str) -> str:
    """The environment variable of a setting: 'cache_dir' → 'DASHAPP_CACHE_DIR'."""
    return PREFIX + name.upper()


def flag(name: str) -> str:
    """The command-line flag of a setting: 'cache_dir' → '--cache-dir'."""
    return "--" + name.replace("_", "-")
