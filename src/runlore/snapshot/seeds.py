"""Random seeds that can be read. No library is imported to ask it.

torch keeps its seed. Python's `random` and numpy's old global generator do not, but both are the Mersenne Twister, whose steps
can be undone: from the state as it is, back over what was drawn since, to a state that only one seed makes.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_WORDS, _SHIFT, _TWIST = 624, 397, 0x9908B0DF
_TOP, _REST, _ALL = 0x80000000, 0x7FFFFFFF, 0xFFFFFFFF
_SPREAD, _FIRST_MIX, _SECOND_MIX, _BASE = 1_812_433_253, 1_664_525, 1_566_083_941, 19_650_218
_SPREAD_BACK = pow(_SPREAD, -1, 1 << 32)
_STEPS_BACK = 4
"""Times that 624 drawn words are undone (0.25 ms each, in the way of other threads): some 900 numbers of double precision."""


class RandomStates(msgspec.Struct, frozen=True):
    """Generators as they were when a run began: a training goes on drawing from them while they are looked at."""

    python: tuple[int, ...] = ()
    numpy: Any = None
    """The words of numpy's global generator as an array; None where numpy is not in use, or has another generator."""
    torch: int | None = None

    @classmethod
    def current(cls) -> RandomStates:
        """The states now. Quick: some copies of 624 words."""
        torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy.random")
        words = None
        if hasattr(numpy, "get_state"):
            kind, key, *_ = numpy.get_state(legacy=True)  # type: ignore[union-attr]
            words = key if kind == "MT19937" else None
        version, state, _ = random.getstate()
        return cls(
            python=state[:_WORDS] if version == 3 else (),
            numpy=words,
            torch=int(torch.initial_seed()) if hasattr(torch, "initial_seed") else None,  # type: ignore[union-attr]
        )


def seeds(states: RandomStates, variables: Mapping[str, str]) -> dict[str, int | str]:
    """Seeds by where they were given: `PYTHONHASHSEED`, `PL_GLOBAL_SEED`, `python`, `numpy`, `torch`. Unknown ones are absent.

    Of `random` and numpy those from 0 to 2³² - 1 are found, until some hundred numbers were drawn.
    """
    found: dict[str, int | str] = {
        name: variables[name] for name in ("PYTHONHASHSEED", "PL_GLOBAL_SEED") if variables.get(name)
    }
    if states.torch is not None:
        found["torch"] = states.torch
    if states.numpy is not None and (seed := _seed_of(states.numpy.tolist(), _numpy_seed)) is not None:
        found["numpy"] = seed
    if states.python and (seed := _seed_of(list(states.python), _python_seed)) is not None:
        found["python"] = seed
    return found


def _seed_of(words: list[int], reader: Any) -> int | None:
    """The seed that a state came from, by `reader`, which knows how seeds become first states."""
    for _ in range(_STEPS_BACK):
        seed: int | None = reader(words)
        if seed is not None:
            return seed
        words = _before(words)
    return None


def _numpy_seed(words: Sequence[int]) -> int | None:
    """numpy spreads the seed over the words, each from the one before it; the first is not known after steps back."""
    if any(words[at] != _spread(words[at - 1], at) for at in range(2, _WORDS)):
        return None
    mixed = (words[1] - 1) * _SPREAD_BACK & _ALL
    return mixed ^ (mixed >> 30)


def _python_seed(words: Sequence[int]) -> int | None:
    """Python mixes the seed into a fixed state in two rounds: undone for the three words that give the seed away."""
    base = [_BASE]
    for at in range(1, 4):
        base.append(_spread(base[-1], at))
    one = (words[1] + 1 & _ALL) ^ _mixed(words[_WORDS - 1], _SECOND_MIX)
    two = (words[2] + 2 & _ALL) ^ _mixed(one, _SECOND_MIX)
    three = (words[3] + 3 & _ALL) ^ _mixed(words[2], _SECOND_MIX)
    seed = three - (base[3] ^ _mixed(two, _FIRST_MIX)) & _ALL
    return seed if random.Random(seed).getstate()[1][1:_WORDS] == tuple(words[1:]) else None


def _spread(word: int, at: int) -> int:
    return _SPREAD * (word ^ (word >> 30)) + at & _ALL


def _mixed(word: int, factor: int) -> int:
    return (word ^ (word >> 30)) * factor & _ALL


def _before(words: Sequence[int]) -> list[int]:
    """The state before its 624 words were last made anew; of the first word only the top bit is known."""
    state = list(words)
    for at in range(_WORDS - 1, -1, -1):
        here = _untwisted(state[at] ^ state[(at + _SHIFT) % _WORDS])
        before = state[at - 1] ^ state[(at + _SHIFT - 1) % _WORDS]
        state[at] = (here << 1 & _TOP) | (_untwisted(before) << 1 & _REST) | (before >> 31)
    return state


def _untwisted(word: int) -> int:
    return word ^ _TWIST if word & _TOP else word
