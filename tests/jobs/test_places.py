"""Admission in Redis: the same turns as admission in one process, for whatever is asked in whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from redis import Redis

from dashapp.errors import TooManyWaiting
from dashapp.jobs import places as places_module
from dashapp.jobs.admission import Admission
from dashapp.jobs.places import NO_WORKER, Places, named
from dashapp.jobs.queue import connect
from tests.machines import RedisServer

N_STEPS = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.end()


@pytest.fixture
def redis(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Redis:
    monkeypatch.setattr(places_module, "PATIENCE_S", 600)  # nobody leaves for a test that takes long
    monkeypatch.setattr(places_module, "ALIVE_S", 600)
    client = connect(server.url)
    client.flushall()
    return client


@pytest.mark.parametrize("keeps_one_free", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_turns_are_those_of_admission_in_one_process(redis: Redis, seed: int, *, keeps_one_free: bool) -> None:
    shared, alone = Places(redis), Admission(3, keeps_one_free=keeps_one_free)
    shared.announce("requests", "one", 2)
    shared.announce("requests", "other", 1)
    draw, running = random.Random(seed), []
    for _ in range(N_STEPS):
        request_id = str(draw.randrange(12))
        match draw.choice(["place", "place", "place", "begin", "end", "leave"]):
            case "place" if request_id not in running:
                visitor = "abc"[int(request_id) % 3]
                theirs = alone.place(request_id, n_running=len(running), now=0.0, visitor=visitor)
                assert shared.place(request_id, visitor, keeps_one_free=keeps_one_free) == theirs
            case "begin" if request_id not in running:
                has_begun = alone.begin(request_id)
                assert shared.begin(request_id) == has_begun
                running += [request_id] * has_begun
            case "end" if running:
                over = running.pop()
                alone.end(over)
                shared.end("requests", over)
            case "leave" if request_id not in running:
                alone.leave(request_id)
                shared.leave(request_id)
        assert shared.n_running("requests") == len(running)
        assert shared.n_waiting() == alone.n_asking(now=0.0)


def test_without_a_worker_nobody_is_let_in_and_a_worker_that_ended_has_no_places(redis: Redis) -> None:
    places = Places(redis)
    assert places.place("a", "", keeps_one_free=False) == NO_WORKER
    places.announce("requests", "one", 1)
    assert places.place("a", "", keeps_one_free=False) == 0
    places.announce("requests", "one", 0)
    assert (places.n_places("requests"), places.place("b", "", keeps_one_free=False)) == (0, NO_WORKER)


def test_one_visitor_cannot_fill_the_queue(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places_module, "MOST_WAITING", 2)
    places = Places(redis)
    places.announce("requests", "one", 1)
    for request_id in ("a", "b", "c"):
        places.place(request_id, "somebody", keeps_one_free=False)
    with pytest.raises(TooManyWaiting):
        places.place("d", "somebody", keeps_one_free=False)
    assert places.place("e", "another", keeps_one_free=False) == 1
    assert places.place("c", "somebody", keeps_one_free=False) == 3  # who waits already goes on waiting
    assert places.n_waiting() == 4


def test_a_work_begins_once_and_only_where_nobody_waits_for_text(redis: Redis) -> None:
    places = Places(redis)
    for kind in ("requests", "works"):
        places.announce(kind, "one", 2)  # type: ignore[arg-type]
    assert places.n_room() == 2
    assert (places.begin_work("w"), places.begin_work("w")) == (True, False)
    assert places.n_room() == 1
    places.place("a", "", keeps_one_free=False)
    assert places.n_room() == 0
    places.end("works", "w")
    assert (places.n_room(), places.begin_work("w")) == (1, True)


def test_who_says_nothing_for_long_is_gone(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    places = Places(redis)
    places.announce("requests", "one", 1)
    assert places.place("a", "x", keeps_one_free=False) == 0
    assert places.begin("a")
    assert places.place("b", "y", keeps_one_free=False) == 1
    redis.zadd(named("running:requests"), {"a": 1.0})  # its last word was to last until 1970
    assert places.place("b", "y", keeps_one_free=False) == 0
    redis.zadd(named("admitted"), {"b": 1.0})
    redis.zadd(named("nodes:requests"), {"one": 1.0})
    assert places.place("c", "z", keeps_one_free=False) == NO_WORKER
    assert redis.hkeys(named("visitors")) == ["c"]
