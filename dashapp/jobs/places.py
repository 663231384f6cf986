"""Who may start a job, for all web processes at once: `Admission` kept in Redis. Knows ids and times.

Nobody holds a process while waiting: a browser asks again each second, at whatever web process, and one that stops
asking loses its turn. Places are those of the workers that say they live; a job that says nothing for `ALIVE_S` has
died, and so has a worker. Each step is one script, which Redis runs without any other between, by Redis's own clock.
What a restarted Redis has forgotten is told to it again within a beat, but for the order of those who wait.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from redis import Redis

from dashapp.errors import TooManyWaiting
from dashapp.jobs.admission import MOST_WAITING, PATIENCE_S

ALIVE_S: Final = 10
BEGINS_S: Final = 60  # from the order to the first word of a job: a worker may have to load what it needs
NO_WORKER: Final = -1
TOO_MANY: Final = -2

Kind = Literal["requests", "works"]

# Every script begins so. `take` keeps an ordered set free of what was said too long ago.
COMMON: Final = """
local stamp = redis.call('TIME')
local now = stamp[1] + stamp[2] / 1000000
local function key(name) return 'dashapp:' .. name end
local function forget(name, seconds)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key(name), '-inf', now - seconds)) do
        redis.call('ZREM', key(name), id)
        redis.call('HDEL', key('visitors'), id)
    end
end
local function places(kind, alive_s)
    for _, node in ipairs(redis.call('ZRANGEBYSCORE', key('nodes:' .. kind), '-inf', now - alive_s)) do
        redis.call('ZREM', key('nodes:' .. kind), node)
        redis.call('HDEL', key('places:' .. kind), node)
    end
    local n = 0
    for _, each in ipairs(redis.call('HVALS', key('places:' .. kind))) do n = n + tonumber(each) end
    return n
end
local function forget_who_left(patience_s)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('asked'), '-inf', now - patience_s)) do
        redis.call('ZREM', key('asked'), id)
        redis.call('ZREM', key('waiting'), id)
        redis.call('HDEL', key('visitors'), id)
    end
    forget('admitted', patience_s)
end
"""

# id, visitor, patience, alive, most of one visitor, whether one place is kept free →
# {0} when it is let in, {place in the queue}, {NO_WORKER}, or {TOO_MANY, how many of the visitor wait}. Turns are those
# of `Admission._turns`: who has fewer before it goes first, then who came first.
PLACE: Final = """
local id, visitor, most_waiting = ARGV[1], ARGV[2], tonumber(ARGV[5])
forget_who_left(tonumber(ARGV[3]))
forget('running:requests', 0)
local n_places = places('requests', tonumber(ARGV[4]))
if redis.call('ZSCORE', key('admitted'), id) then return {0} end
local n_before, n_waiting, visitors = {}, 0, {}
local told = redis.call('HGETALL', key('visitors'))
for i = 1, #told, 2 do visitors[told[i]] = told[i + 1] end
local function count(each)
    local of = visitors[each] or ''
    n_before[of] = (n_before[of] or 0) + 1
    return n_before[of] - 1, of
end
local n_taken = 0
for _, name in ipairs({'admitted', 'running:requests'}) do
    for _, each in ipairs(redis.call('ZRANGE', key(name), 0, -1)) do count(each); n_taken = n_taken + 1 end
end
if not redis.call('ZSCORE', key('waiting'), id) then
    redis.call('ZADD', key('waiting'), redis.call('INCR', key('counter')), id)
    redis.call('HSET', key('visitors'), id, visitor)
    visitors[id] = visitor
end
local turns = {}
for order, each in ipairs(redis.call('ZRANGE', key('waiting'), 0, -1)) do
    local turn, of = count(each)
    if of == visitor then n_waiting = n_waiting + 1 end
    turns[order] = {id = each, turn = turn, order = order}
end
if n_waiting > most_waiting and not redis.call('ZSCORE', key('asked'), id) then
    redis.call('ZREM', key('waiting'), id)
    redis.call('HDEL', key('visitors'), id)
    return {-2, n_waiting - 1}
end
redis.call('ZADD', key('asked'), now, id)
if n_places == 0 then return {-1} end
table.sort(turns, function(a, b)
    if a.turn ~= b.turn then return a.turn < b.turn end
    return a.order < b.order
end)
local most_each = math.huge
if ARGV[6] == '1' and n_places > 1 then most_each = n_places - 1 end
local n_may_start = 0
for place, each in ipairs(turns) do
    if each.turn < most_each then n_may_start = n_may_start + 1 end
    if each.id == id then
        if each.turn >= most_each or n_may_start > n_places - n_taken then return {place} end
        redis.call('ZREM', key('waiting'), id)
        redis.call('ZREM', key('asked'), id)
        redis.call('ZADD', key('admitted'), now, id)
        return {0}
    end
end
"""

# id, seconds until its first word → whether it was let in; its place is its job's from now on.
BEGIN: Final = """
if redis.call('ZREM', key('admitted'), ARGV[1]) == 0 then return 0 end
redis.call('ZADD', key('running:requests'), now + tonumber(ARGV[2]), ARGV[1])
redis.call('SET', key('alive:' .. ARGV[1]), 1, 'EX', ARGV[2])
return 1
"""

# key, seconds until its first word → whether nobody does this work already.
BEGIN_WORK: Final = """
if redis.call('SET', key('alive:' .. ARGV[1]), 1, 'EX', ARGV[2], 'NX') then
    redis.call('ZADD', key('running:works'), now + tonumber(ARGV[2]), ARGV[1])
    return 1
end
return 0
"""

# patience, alive → how many works may begin beside what runs and waits.
ROOM: Final = """
forget_who_left(tonumber(ARGV[1]))
forget('running:requests', 0)
forget('running:works', 0)
local claimed = redis.call('ZCARD', key('running:requests')) + redis.call('ZCARD', key('waiting'))
claimed = claimed + redis.call('ZCARD', key('admitted'))
local n_works = redis.call('ZCARD', key('running:works'))
local free = places('requests', tonumber(ARGV[2])) - claimed - n_works
return math.min(free, places('works', tonumber(ARGV[2])) - n_works)
"""

# kind, id, seconds: it lives, and is taken to live for so long.
BEAT: Final = """
redis.call('ZADD', key('running:' .. ARGV[1]), now + tonumber(ARGV[3]), ARGV[2])
redis.call('SET', key('alive:' .. ARGV[2]), 1, 'EX', ARGV[3])
"""

# kind, node, places: this worker lives and takes so many jobs at once; 0 when it ends.
ANNOUNCE: Final = """
if tonumber(ARGV[3]) == 0 then
    redis.call('ZREM', key('nodes:' .. ARGV[1]), ARGV[2])
    redis.call('HDEL', key('places:' .. ARGV[1]), ARGV[2])
else
    redis.call('ZADD', key('nodes:' .. ARGV[1]), now, ARGV[2])
    redis.call('HSET', key('places:' .. ARGV[1]), ARGV[2], ARGV[3])
end
"""

COUNT: Final = "return places(ARGV[1], tonumber(ARGV[2]))"


class Places:
    """The places of all workers. Every method raises redis.RedisError when Redis does not answer."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        scripts = (PLACE, BEGIN, BEGIN_WORK, ROOM, BEAT, ANNOUNCE, COUNT)
        self._scripts: dict[str, Any] = {each: redis.register_script(COMMON + each) for each in scripts}

    def place(self, request_id: str, visitor: str, *, keeps_one_free: bool) -> int:
        """0: this request may start a job now. Otherwise its place in the queue, from 1, or NO_WORKER.

        visitor, keeps_one_free: as in `Admission`. Raises: TooManyWaiting.
        """
        one_free = str(int(keeps_one_free))
        found = self._scripts[PLACE](args=[request_id, visitor, PATIENCE_S, ALIVE_S, MOST_WAITING, one_free])
        if found[0] == TOO_MANY:
            raise TooManyWaiting(found[1])
        return int(found[0])

    def begin(self, request_id: str) -> bool:
        """Whether this request was let in; once asked, the place counts as taken by its job."""
        return bool(self._scripts[BEGIN](args=[request_id, BEGINS_S]))

    def leave(self, request_id: str) -> None:
        """A person who waited does not want it any more."""
        with self._redis.pipeline() as pipe:
            for name in ("waiting", "asked", "admitted"):
                pipe.zrem(named(name), request_id)
            pipe.execute()

    def n_running(self, kind: Kind) -> int:
        """How many jobs run."""
        return int(self._redis.zcard(named(f"running:{kind}")))

    def n_waiting(self) -> int:
        """How many requests wait for a place, or have one and have not begun."""
        return int(self._redis.zcard(named("waiting"))) + int(self._redis.zcard(named("admitted")))

    def begin_work(self, work_key: str) -> bool:
        """Whether this work is to be begun; not if it is under way already."""
        return bool(self._scripts[BEGIN_WORK](args=[work_key, BEGINS_S]))

    def n_room(self) -> int:
        """How many works may begin: places that nobody who waits for text could want."""
        return int(self._scripts[ROOM](args=[PATIENCE_S, ALIVE_S]))

    def beat(self, kind: Kind, job_id: str) -> None:
        """A job lives."""
        self._scripts[BEAT](args=[kind, job_id, ALIVE_S])

    def free(self, kind: Kind, job_id: str) -> None:
        """A job has left its outcome: its place is free. It counts as alive until that was fetched."""
        self._redis.zrem(named(f"running:{kind}"), job_id)
        self._redis.hdel(named("visitors"), job_id)

    def end(self, kind: Kind, job_id: str) -> None:
        """A job is over."""
        self.free(kind, job_id)
        self._redis.delete(named(f"alive:{job_id}"))

    def is_alive(self, job_id: str) -> bool:
        """Whether a job was begun and has said that it lives, or Redis has only just begun to listen."""
        if self._redis.exists(named(f"alive:{job_id}")):
            return True
        info: Any = self._redis.info("server")
        return int(info["uptime_in_seconds"]) < ALIVE_S

    def announce(self, kind: Kind, node: str, n_places: int) -> None:
        """A worker lives, and does so many jobs at once; none when it ends."""
        self._scripts[ANNOUNCE](args=[kind, node, n_places])

    def n_places(self, kind: Kind) -> int:
        """How many jobs all workers do at once."""
        return int(self._scripts[COUNT](args=[kind, ALIVE_S]))


def named(name: str) -> str:
    """The key in Redis."""
    return f"dashapp:{name}"
