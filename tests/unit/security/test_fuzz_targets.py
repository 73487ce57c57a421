"""The targets of `make fuzz`, on their seeds and on some hundred inputs that differ from them a little."""

from __future__ import annotations

from random import Random

import pytest

from tests.fuzz.targets import TARGETS

NUM_INPUTS = 300


def changed(seed: bytes, random: Random) -> bytes:
    """The seed with bytes replaced, repeated, removed, or put elsewhere."""
    data = bytearray(seed)
    for _ in range(random.randint(1, 6)):
        at, end = sorted(random.choices(range(len(data) + 1), k=2))
        match random.randrange(4):
            case 0:
                data[at : at + 1] = bytes([random.choice((0, 1, 127, 128, 255, random.randrange(256)))])
            case 1:
                data[at:at] = data[at:end] * random.randint(1, 30)
            case 2:
                del data[at:end]
            case _:
                data[at:at] = random.randbytes(random.randint(1, 8))
    return bytes(data[:4096])


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_does_harm(name: str) -> None:
    random = Random(name)
    target = TARGETS[name]
    target.run(b"")
    for seed in target.seeds:
        target.run(seed)
    for _ in range(NUM_INPUTS):
        target.run(changed(random.choice(target.seeds), random))
