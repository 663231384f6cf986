"""Objects by name in a bucket with the S3 interface: read by byte ranges, written whole or not at all.

Every call ends: connections and answers have time limits, and what fails is tried three times in all, with a growing
pause, before ObjectStoreUnavailable says why. Credentials are those that boto3 finds by itself (its environment
variables, its files, the machine's role). Knows names and bytes; knows nothing of traces.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import IO, Any, Final, TypeVar
from urllib.parse import urlsplit

from dashapp.errors import ObjectStoreUnavailable, ScaleMissing

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, IncompleteReadError
except ImportError as error:  # an extra that one machine does without
    raise ScaleMissing("An object store", error) from error

CONNECT_S: Final = 3
READ_S: Final = 10  # without a byte
N_ATTEMPTS: Final = 3
N_CONNECTIONS: Final = 16  # one for each thread of a web process, and some to spare

GONE: Final = frozenset({"404", "NoSuchKey", "NotFound"})
CHANGED: Final = frozenset({"412", "PreconditionFailed", "409", "ConditionalRequestConflict", "416", "InvalidRange"})

Answered = TypeVar("Answered")

_making = threading.Lock()


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which version of an object: its etag, which differs where the bytes do; and how long it is."""

    etag: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of an object, and of which version they are."""

    stamp: Stamp
    content: bytes


class Objects:
    """The objects below s3://bucket/prefix. endpoint: where the server is; None for Amazon's. Safe for threads."""

    def __init__(self, url: str, endpoint: str | None) -> None:
        self.url, self.endpoint = url, endpoint
        parts = urlsplit(url)
        self._bucket, self._prefix = parts.netloc, parts.path.strip("/")

    def address(self, name: str) -> str:
        """What a person calls an object."""
        return f"{self.url}/{name}"

    def stamp(self, name: str) -> Stamp | None:
        """The version of an object that is there, or None. Raises: ObjectStoreUnavailable."""
        found = self._asked(GONE, lambda client: client.head_object(**self._named(name)))
        return Stamp(found["ETag"], int(found["ContentLength"])) if found else None

    def read(self, name: str, start: int, stop: int, *, etag: str | None = None) -> Part | None:
        """Bytes `start..stop`, or as many as there are; None when it is gone, or is another version than `etag`.

        Raises: ObjectStoreUnavailable.
        """
        only = {"IfMatch": etag} if etag else {}

        def fetch(client: Any) -> Part:
            answer = client.get_object(**self._named(name), Range=f"bytes={start}-{stop - 1}", **only)
            content = answer["Body"].read()
            size = str(answer.get("ContentRange", "")).rpartition("/")[2]  # "bytes 0-99/1234"
            return Part(Stamp(answer["ETag"], int(size) if size.isdecimal() else len(content)), content)

        return self._asked(GONE | CHANGED, fetch)

    def write(self, name: str, body: IO[bytes] | bytes) -> None:
        """Make this the object of a name: whoever reads finds the one before or all of this one.

        Raises: ObjectStoreUnavailable.
        """
        self._asked(frozenset(), lambda client: client.put_object(**self._named(name), Body=body))

    def write_if(self, name: str, body: bytes, *, etag: str | None) -> Stamp | None:
        """The same if the name has this version, or with None no object; None when that is not so.

        Raises: ObjectStoreUnavailable.
        """
        only = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        done = self._asked(GONE | CHANGED, lambda client: client.put_object(**self._named(name), Body=body, **only))
        return Stamp(done["ETag"], len(body)) if done else None

    def remove(self, name: str) -> None:
        """Remove an object; nothing happens when it is not there. Raises: ObjectStoreUnavailable."""
        self._asked(GONE, lambda client: client.delete_object(**self._named(name)))

    def remove_all(self, folder: str) -> None:
        """Remove every object whose name begins with `folder/`. Raises: ObjectStoreUnavailable."""
        for page in self._pages(folder):
            names = [{"Key": row["Key"]} for row in page]
            if names:
                order = {"Bucket": self._bucket, "Delete": {"Objects": names, "Quiet": True}}
                self._asked(frozenset(), partial(_do, "delete_objects", order))

    def listed(self, folder: str) -> Iterator[tuple[str, int]]:
        """The name below `folder/` and the bytes of every object there. Raises: ObjectStoreUnavailable."""
        before = len(self._key(f"{folder}/"))
        for page in self._pages(folder):
            yield from ((row["Key"][before:], int(row["Size"])) for row in page)

    def _pages(self, folder: str) -> Iterator[list[dict[str, Any]]]:
        more: dict[str, str] = {}
        while True:
            asked = {"Bucket": self._bucket, "Prefix": self._key(f"{folder}/"), **more}
            answer = self._asked(frozenset(), partial(_do, "list_objects_v2", asked))
            assert answer is not None, "nothing of a list is taken for absent"
            yield answer.get("Contents", [])
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _named(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._key(name)}

    def _asked(self, as_none: frozenset[str], ask: Callable[[Any], Answered]) -> Answered | None:
        """An answer; None for an error of these codes. Raises: ObjectStoreUnavailable."""
        with self._saying_why():
            for n_left in reversed(range(N_ATTEMPTS)):
                try:
                    return ask(self._client)
                except ClientError as error:
                    if _code(error) in as_none:
                        return None
                    raise
                except IncompleteReadError:  # the answer broke off: the client tries again only what has not begun
                    if not n_left:
                        raise
        raise AssertionError("the last attempt answers or raises")

    @property
    def _client(self) -> Any:
        with _making:  # making one is not safe for threads; using it is
            return _client(self.endpoint, READ_S)

    @contextmanager
    def _saying_why(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise ObjectStoreUnavailable(self.url, self.endpoint, error) from error


@cache
def _client(endpoint: str | None, read_s: float) -> Any:
    """One for all who speak to a server: to make it takes a third of a second."""
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            retries={"mode": "standard", "total_max_attempts": N_ATTEMPTS},
            max_pool_connections=N_CONNECTIONS,
            # What we write has checksums of its own, and not every server knows Amazon's newer ones.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"} if endpoint else {},  # a server of one's own has one name
        ),
    )


def _do(operation: str, order: dict[str, Any], client: Any) -> dict[str, Any]:
    answer: dict[str, Any] = getattr(client, operation)(**order)
    return answer


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
