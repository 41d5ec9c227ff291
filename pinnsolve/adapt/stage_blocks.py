"""Blocks of W^T A, the tests of rows in space times their matrices of every order in time.

Matrices of rows are (G, M, U n) for G cells. What vanishes of them, such as the pressures in the row of the volume, is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from pinnsolve.assembly.table_matrix import TableMatrix
from pinnsolve.least_squares.products import times
from pinnsolve.threads import few_at_a_time, side_by_side

AT_ONCE = 2**18  # numbers of the matrices of a few cells


def add_products(
    own: Tensor, cells: Tensor, tests: Sequence[Tensor], columns: Sequence[Tensor], levels: Sequence[int]
) -> None:
    """Adds W^T A of cells (G,), blocks of one unknown each; of two levels W^T W, on and above the diagonal alone,
    in place of the first one."""
    U = own.shape[1]
    seen = [u for u in range(U) if _holds(tests[u])]
    pairs = [(levels[k // U], k % U, one) for k, one in enumerate(columns)]
    if len(own) == 2:
        pairs = [*((0, u, tests[u]) for u in seen), *((k, u, one) for k, u, one in pairs if k)]
    wanted = [(k, u, v, one) for k, v, one in pairs if (k == 0 and len(own) == 2) or _holds(one) for u in seen]

    def add(k: int, u: int, v: int, one: Tensor) -> None:
        product = times(tests[u].mT, one)
        own[k, u, v].index_add_(0, cells, product.expand(len(cells), *product.shape[1:]))

    tasks = [partial(add, k, u, v, one) for k, u, v, one in wanted if k or len(own) > 2 or u <= v]
    side_by_side(tasks, len(tasks) * tests[0].numel())


def add_table_products(own: Tensor, matrix: TableMatrix, tests: TableMatrix) -> None:
    """The same of rows that tables give, of different cells: of few at a time, whose matrices stay in the cache."""
    levels, U = own.shape[:2]
    rows, count = len(matrix.residuals) * matrix.points, len(matrix.cells)

    def add(some: slice) -> None:
        cells = matrix.cells[some]
        of_tests = {u: tests.of_cells(some, u) for u in tests.seen}
        columns = {(k // U, k % U): matrix.of_cells(some, k) for k in matrix.seen if levels > 2 or k >= U}
        for u, test in of_tests.items():
            wanted = [(0, v, one) for v, one in of_tests.items() if levels == 2 and v >= u]
            for k, v, one in [*wanted, *((k, v, one) for (k, v), one in columns.items())]:
                own[k, u, v].index_add_(0, cells, times(test.mT, one))

    few_at_a_time(add, count, max(1, AT_ONCE // (rows * matrix.functions)), count * rows * matrix.functions)


def _holds(block: Tensor) -> bool:
    """Whether anything of (G, M, n) does not vanish, which mostly shows in the first of the G."""
    return bool(block[:1].any()) or bool(block.any())


def of_mode(blocks: Tensor, ratio: complex | float) -> Tensor:
    """The sum over orders in time, of (levels, ...)."""
    parts = []
    for part in (lambda z: z.real, lambda z: z.imag)[: 2 if isinstance(ratio, complex) else 1]:
        total = part(complex(1.0)) * blocks[0]
        for k, one in enumerate(blocks[1:], start=1):
            total.add_(one, alpha=part(complex(ratio) ** k))
        parts.append(total)
    return torch.complex(*parts) if len(parts) == 2 else parts[0]


def add_coupled(
    diagonal: Tensor, upper: Tensor, lower: Tensor, number: Mapping[tuple[int, int], int], products
) -> None:
    """Adds products (G, n, n) to the blocks of rows i and columns j, (G,) each."""
    i, j, product = products
    for chosen, target, first, second in ((i == j, diagonal, i, j), (i < j, upper, i, j), (i > j, lower, j, i)):
        if bool(chosen.any()):
            index = first[chosen]
            if target is not diagonal:
                pairs = zip(index.tolist(), second[chosen].tolist(), strict=True)
                index = torch.tensor([number[pair] for pair in pairs])
            target.index_add_(0, index, product[chosen])
