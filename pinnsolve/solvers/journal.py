"""What a solve has computed so far, piece by piece, so that one that was ended can be taken up where it was.

A solve is a fixed sequence of expensive pieces: slabs, steps, levels. Each is asked for with what it depends on; one
that a journal holds from before is not computed again. So a solve that is taken up makes the same decisions with the
same numbers, and gives the same result. A piece that does not fit what is asked for ends what can be used of a journal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import Tensor

Values = Mapping[str, Any]  # numbers, texts, tensors, and lists and maps of them


def digest(*tensors: Tensor) -> str:
    """A short text that is another one for other tensors."""
    found = hashlib.sha256()
    for tensor in tensors:
        found.update(str(tuple(tensor.shape)).encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]


class Journal:
    """Pieces in their order: those `recorded` before, then those that `keep` is told of.

    `cut(count)` is called where the recorded pieces do not fit any more: after so many of them. Without arguments,
    nothing is recorded and nothing kept.
    """

    def __init__(
        self,
        recorded: Iterable[Values] = (),
        keep: Callable[[Values], None] | None = None,
        cut: Callable[[int], None] | None = None,
    ):
        self._recorded, self._keep, self._cut = iter(recorded), keep, cut
        self._count = 0
        self._next = next(self._recorded, None)

    @property
    def replays(self) -> bool:
        """Whether the next piece may be one from before."""
        return self._next is not None

    @property
    def keeps(self) -> bool:
        """Whether anybody is told of pieces."""
        return self._keep is not None

    def follows(self, kind: str, *about: Any) -> bool:
        """Whether the next piece was recorded, and is about this."""
        return self._next is not None and (self._next["kind"], self._next["about"]) == (kind, _plain(about))

    def found(self, kind: str, *about: Any) -> Values | None:
        """The values of the next piece, if it was recorded and is about the same."""
        if self._next is None:
            return None
        if not self.follows(kind, *about):
            self._next, self._recorded = None, iter(())
            if self._cut is not None:
                self._cut(self._count)
            return None
        values = self._next["values"]
        self._count, self._next = self._count + 1, next(self._recorded, None)
        return values

    def add(self, kind: str, *about: Any, values: Values) -> None:
        """A piece that was computed."""
        if self._keep is not None:
            self._count += 1
            self._keep({"kind": kind, "about": _plain(about), "values": values})


NOTHING = Journal()


def _plain(about: tuple) -> Any:
    """As it comes back from a file."""
    return json.loads(json.dumps(about))
