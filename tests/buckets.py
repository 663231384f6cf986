"""A server with the S3 interface on loopback (moto's), and buckets in it for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from moto.server import ThreadedMotoServer

from dashapp.store.objects import Objects
from tests.relay import Relay

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of its own. url: with a prefix. relay: between the client and the server."""

    url: str
    relay: Relay

    @property
    def endpoint(self) -> str:
        return self.relay.url

    def objects(self) -> Objects:
        return Objects(self.url, self.endpoint)


@contextmanager
def serving() -> Iterator[Relay]:
    """A relay to the server, and credentials in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        server.start()
        try:
            relay = Relay(server.get_host_and_port()[1])
            yield relay
            relay.close()
        finally:
            server.stop()


@contextmanager
def new_bucket(relay: Relay, name: str) -> Iterator[Bucket]:
    """An empty bucket behind the relay, which counts from here on and fails only as long as this lasts."""
    bucket = Bucket(f"s3://{name}/gpt2", relay)
    bucket.objects()._client.create_bucket(Bucket=name)
    relay.reset()
    try:
        yield bucket
    finally:
        relay.is_gone, relay.delay_s, relay.fails_every = False, 0.0, 0
