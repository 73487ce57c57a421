"""Redis: the worker's own Lua scripts over a dict, on one simulated server that loses, forgets and is away."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, Self

import lupa.lua51
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.simulation.loop import SimulatedLoop
from tests.simulation.network import Network

Command = tuple[str, tuple[Any, ...]]

BEGIN, OTHER = "Redis begin", "Redis"
"""The names of requests on the network: the script begin.lua, and all others."""


class RedisServer:
    """The server. `handle` carries out commands one after the other, with nothing between them.

    Writes of workers that do not own a partition any more are counted, and are a problem where a script accepts one.
    """

    def __init__(self, loop: SimulatedLoop, problems: list[str]) -> None:
        self._loop = loop
        self._problems = problems
        self.num_refused = 0
        self.data: dict[bytes, Any] = {}
        self.snapshots: list[dict[bytes, Any]] = []

    def handle(self, commands: Sequence[Command]) -> list[Any]:
        """The answers to `commands`."""
        return [self._execute(name, arguments) for name, arguments in commands]

    def snapshot(self) -> None:
        """Keep what a rollback may go back to."""
        self.snapshots.append(copy.deepcopy(self.data))

    def roll_back(self, snapshot: dict[bytes, Any]) -> None:
        """Go back to a snapshot."""
        self.data = copy.deepcopy(snapshot)

    def _execute(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "eval":
            return self._run(*arguments)
        return getattr(self, f"_{name.lower()}")(*map(_bytes, arguments))

    def _run(self, script: str, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        owner = self.data.get(_bytes(keys[0]), {}).get(b"owner")
        answer = _lua.run(self, script, keys, args)
        if owner is not None and owner != _bytes(args[0]):
            if answer == b"ok":
                self._problems.append(f"a script let {args[0]} write to what {owner.decode()} owns")
            elif answer == b"changed":
                self.num_refused += 1
        return answer

    def call(self, name: str, arguments: Sequence[Any]) -> Any:
        """A command of a script."""
        return getattr(self, f"_{name.lower()}")(*map(_bytes, arguments))

    def _get(self, key: bytes) -> Any:
        return self.data.get(key)

    def _mget(self, *keys: bytes) -> list[bytes | None]:
        return [self.data.get(key) for key in keys]

    def _set(self, key: bytes, value: bytes, *_: bytes) -> bytes:
        self.data[key] = value
        return b"OK"

    def _del(self, key: bytes) -> int:
        return int(self.data.pop(key, None) is not None)

    def _hget(self, key: bytes, field: bytes) -> bytes | None:
        found: bytes | None = self.data.get(key, {}).get(field)
        return found

    def _hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        found = self.data.get(key, {})
        return [found.get(field) for field in fields]

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        self.data.setdefault(key, {}).update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(pairs) // 2

    def _hsetnx(self, key: bytes, field: bytes, value: bytes) -> int:
        return int(self.data.setdefault(key, {}).setdefault(field, value) is value)

    def _hdel(self, key: bytes, *fields: bytes) -> int:
        return sum(self.data.get(key, {}).pop(field, None) is not None for field in fields)

    def _pexpire(self, key: bytes, _: bytes) -> int:
        # The times to live are weeks; a simulation lasts minutes.
        return int(key in self.data)

    def _time(self) -> list[bytes]:
        seconds, rest = divmod(self._loop.time(), 1)
        return [b"%d" % seconds, b"%d" % (rest * 1_000_000)]


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


class _Lua:
    """Runs scripts as Redis does: a missing value is false, numbers become text."""

    def __init__(self) -> None:
        self._runtime = lupa.lua51.LuaRuntime(encoding=None)
        self._functions: dict[str, Any] = {}
        self._server: RedisServer | None = None
        call = self._runtime.eval(b"function(call) redis = {call = function(...) return call(...) end} end")
        call(self._call)

    def run(self, server: RedisServer, script: str, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """The answer of a script."""
        if script not in self._functions:
            self._functions[script] = self._runtime.execute(f"return function(KEYS, ARGV) {script} \nend".encode())
        self._server = server
        table = self._runtime.table_from
        answer = self._functions[script](table([_bytes(key) for key in keys]), table([_bytes(arg) for arg in args]))
        return list(answer.values()) if lupa.lua51.lua_type(answer) == "table" else answer

    def _call(self, name: bytes, *arguments: Any) -> Any:
        assert self._server is not None
        answer = self._server.call(name.decode(), arguments)
        if isinstance(answer, list):
            return self._runtime.table_from([False if value is None else value for value in answer])
        return False if answer is None else answer


_lua = _Lua()


def _lost(reason: str) -> RedisConnectionError:
    return RedisConnectionError(reason)


class SimulatedRedis:
    """The part of redis.asyncio.Redis that the worker uses."""

    def __init__(self, server: RedisServer, network: Network) -> None:
        self._server = server
        self._network = network

    async def ask(self, commands: Sequence[Command], name: str = OTHER) -> list[Any]:
        """Carry out commands on one connection."""
        answers: list[Any] = await self._network.ask(lambda: self._server.handle(commands), _lost, name)
        return answers

    async def get(self, key: str) -> Any:
        """GET."""
        return (await self.ask([("get", (key,))]))[0]

    async def hmget(self, key: str, *fields: str) -> Any:
        """HMGET."""
        return (await self.ask([("hmget", (key, *fields))]))[0]

    async def set(self, key: str, value: bytes, px: int | None = None) -> Any:
        """SET."""
        return (await self.ask([("set", (key, value))]))[0]

    def pipeline(self, transaction: bool = True) -> _Pipeline:
        """Commands that are sent together; nothing comes between them on the simulated server."""
        return _Pipeline(self)

    def register_script(self, script: str) -> Callable[..., Any]:
        """A script, as a function of its keys and arguments."""
        name = BEGIN if script.startswith("-- Begin a lineage") else OTHER

        async def run(keys: Sequence[Any], args: Sequence[Any], client: Any = None) -> Any:
            command: Command = ("eval", (script, list(keys), list(args)))
            if client is not None:
                client.add(command)
                return client
            return (await self.ask([command], name))[0]

        return run

    async def aclose(self) -> None:
        """Nothing is open."""


class _Pipeline:
    def __init__(self, redis: SimulatedRedis) -> None:
        self._redis = redis
        self._commands: list[Command] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands = []

    def add(self, command: Command) -> None:
        """Queue a command."""
        self._commands.append(command)

    def hget(self, *arguments: Any) -> None:
        """HGET."""
        self.add(("hget", arguments))

    def hmget(self, *arguments: Any) -> None:
        """HMGET."""
        self.add(("hmget", arguments))

    def execute_command(self, name: str, *arguments: Any) -> None:
        """Any command."""
        self.add((name.lower(), arguments))

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """The answers."""
        return await self._redis.ask(self._commands)
