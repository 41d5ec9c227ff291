"""The pieces of a solve that is under way, in files beside the solution, and the same read back.

Input: pieces as of `solvers.journal`. Output: numbered files of arrays without pickle, each put in place
in one step. What is written belongs to one version of pinnsolve alone.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pinnsolve.results.storage import replace_file

PATTERN = "pieces-*.npz"
EVERY = 2.0  # seconds from one file to the next, at least
SHARE = 0.01  # of the time is what writing may take
DAMAGED = (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError,
           NotImplementedError, zipfile.BadZipFile)  # fmt: skip


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    `say` is told once, in a sentence, where they cannot be written: the solve goes on without.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]):
        self.folder, self._say = folder, say
        self._pending: list[Mapping[str, Any]] = []
        self._written, self._pause, self._number = time.monotonic(), EVERY, 0
        self._lost = False

    # -- out ----------------------------------------------------------------------------------------------------------

    def keep(self, piece: Mapping[str, Any]) -> None:
        """Take a piece, and write it with those before, unless the last were written just now."""
        self._pending.append(piece)
        if time.monotonic() - self._written >= self._pause:
            self.flush()

    def flush(self) -> None:
        """Write the pieces that are not written yet."""
        if not self._pending or self._lost:
            return
        begun = time.monotonic()
        try:
            _write(self._path(self._number), self._pending)
        except OSError as error:
            self._lost = True
            self._say(f"warning: the run cannot be resumed, since {self.folder} cannot be written: {error.strerror}")
        self._pending, self._number = [], self._number + 1
        self._written = time.monotonic()
        self._pause = max(EVERY, (self._written - begun) / SHARE)

    def cut(self, count: int) -> None:
        """Drop what was recorded after so many pieces."""
        left = count
        for path in self._paths():
            pieces = _read(path)
            if left >= len(pieces) > 0:
                left -= len(pieces)
            elif left > 0:
                _write(path, pieces[:left])
                left = 0
            else:
                path.unlink()
        self._number = len(self._paths())

    # -- in -----------------------------------------------------------------------------------------------------------

    def recorded(self) -> Iterator[Mapping[str, Any]]:
        """The pieces in their order, until a file is damaged."""
        paths = self._paths()
        self._number = len(paths)
        for number, path in enumerate(paths):
            pieces = _read(path)
            if not pieces or path != self._path(number):
                for later in paths[number:]:
                    later.unlink(missing_ok=True)
                self._number = number
                return
            yield from pieces

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob(PATTERN))

    def _path(self, number: int) -> Path:
        return self.folder / PATTERN.replace("*", f"{number:08d}")


def _write(path: Path, pieces: list[Mapping[str, Any]]) -> None:
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_packed(pieces, arrays))
    replace_file(path, lambda f: np.savez(f, pieces=np.array(text), **arrays))


def _read(path: Path) -> list[Mapping[str, Any]]:
    """The pieces of a file; none where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return _unpacked(json.loads(str(archive["pieces"])), archive)
    except DAMAGED:
        return []


def _packed(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """The value with its tensors in `arrays`, and their numbers in place of them."""
    if isinstance(value, Tensor):
        name = f"a{len(arrays)}"
        arrays[name] = value.detach().cpu().numpy()
        return {"array": name}
    if isinstance(value, Mapping):
        return {"map": [[key, _packed(item, arrays)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(item, arrays) for item in value]}
    if isinstance(value, list):
        return [_packed(item, arrays) for item in value]
    return value


def _unpacked(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return torch.from_numpy(arrays[value["array"]])
    if "tuple" in value:
        return tuple(_unpacked(item, arrays) for item in value["tuple"])
    return {key: _unpacked(item, arrays) for key, item in value["map"]}
