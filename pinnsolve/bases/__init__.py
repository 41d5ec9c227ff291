"""Bases: families of functions with all their derivatives, made by kind from the settings of a problem file.

Input: settings and the box of the problem. Output: a `Basis`. Kinds are looked up in `pinnsolve.extensions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pinnsolve.bases.base import Basis
from pinnsolve.errors import PinnsolveError
from pinnsolve.extensions import basis_class

__all__ = ["Basis", "make_basis", "restore_basis"]

DEFAULT_KIND = "mlp"


def make_basis(
    settings: Mapping[str, Any],
    lower: Sequence[float] | Tensor,
    upper: Sequence[float] | Tensor,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Basis:
    """The basis that the settings ask for on a box, with initial hidden parameters. `lower`, `upper`: (d,).

    Raises `PinnsolveError` for an unknown kind, a setting that makes no sense, or an empty box.
    """
    low, high = _box(lower, upper, dtype, device)
    return _class(settings).create(settings, low, high, seed)


def restore_basis(
    settings: Mapping[str, Any],
    hidden: Mapping[str, Tensor],
    lower: Sequence[float] | Tensor,
    upper: Sequence[float] | Tensor,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Basis:
    """The basis that had these settings and hidden parameters: `basis.settings()`, `basis.hidden`.

    Raises as `make_basis`, and `PinnsolveError` for hidden parameters that do not match the settings.
    """
    low, high = _box(lower, upper, dtype, device)
    moved = {name: torch.as_tensor(value, dtype=dtype, device=device) for name, value in hidden.items()}
    return _class(settings).restore(settings, moved, low, high)


def _class(settings: Mapping[str, Any]) -> type[Basis]:
    return basis_class(settings.get("kind", DEFAULT_KIND))


def _box(lower: Any, upper: Any, dtype: torch.dtype, device: Any) -> tuple[Tensor, Tensor]:
    low = torch.as_tensor(lower, dtype=dtype, device=device)
    high = torch.as_tensor(upper, dtype=dtype, device=device)
    fits = low.ndim == 1 and low.shape == high.shape and low.numel() > 0
    if not fits or not bool((low < high).all()) or not bool(torch.isfinite(high - low).all()):
        raise PinnsolveError(f"a basis needs a box with lower < upper, not {low.tolist()} to {high.tolist()}")
    return low, high
