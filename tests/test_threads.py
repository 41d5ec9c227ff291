"""Pieces of a solve side by side, and products by another library: the same numbers, errors and gradients."""

import threading

import pytest
import torch

import pinnsolve as ps
from pinnsolve import threads
from pinnsolve.least_squares.block_cholesky import LARGE, BlockCholesky, BlockMatrix
from pinnsolve.least_squares.block_lu import BlockLU
from pinnsolve.least_squares.fronts import Front
from pinnsolve.least_squares.products import times
from pinnsolve.threads import all_at_each, in_parts, one_thread_each, parts, side_by_side

LONG = 60.0  # seconds after which what should meet has not


@pytest.fixture
def two():
    """A solve that may take two threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with one_thread_each():
            yield
    finally:
        torch.set_num_threads(before)


@pytest.fixture
def divided(monkeypatch):
    """However small work is, it is divided."""
    monkeypatch.setattr(threads, "WORTH", 0)


def test_tasks_run_at_the_same_time_and_return_in_order(two):
    met = threading.Barrier(2)

    def meet(number: int) -> int:
        met.wait(LONG)
        return number

    assert side_by_side([lambda k=k: meet(k) for k in range(4)]) == [0, 1, 2, 3]


def test_libraries_take_one_thread_and_gradients_are_as_outside(two):
    def found() -> tuple[int, bool]:
        return torch.get_num_threads(), torch.is_grad_enabled()

    assert side_by_side([found] * 8) == [(1, True)] * 8
    with torch.no_grad():
        assert side_by_side([found] * 8) == [(1, False)] * 8


def test_an_error_is_raised_once_no_task_runs_and_none_is_begun_after_it(two):
    running, begun, failed = threading.Barrier(2), [], threading.Event()

    def fail() -> None:
        running.wait(LONG)
        failed.set()
        raise ValueError("this one")

    def last() -> None:
        running.wait(LONG)
        failed.wait(LONG)
        begun.append("last")

    tasks = [fail, last] + [lambda: begun.append("later")] * 3
    with pytest.raises(ValueError, match="this one"):
        side_by_side(tasks)
    assert begun.count("last") == 1
    assert side_by_side([lambda: 1, lambda: 2]) == [1, 2]  # and all goes on


def test_tasks_of_tasks_and_of_other_threads_are_done_by_whoever_asks(two):
    def own() -> set[int]:
        return {threading.get_ident(), *side_by_side([threading.get_ident] * 4)}

    assert all(len(found) == 1 for found in side_by_side([own] * 4))
    found = []
    other = threading.Thread(target=lambda: found.append(own()))
    other.start()
    other.join()
    assert len(found[0]) == 1


def test_what_is_left_over_is_done_by_all_threads(two, divided):
    def own(number: int) -> tuple[int, set[int]]:
        if number < 2:
            return number, {threading.get_ident()}
        met = threading.Barrier(2)

        def meet(_) -> int:
            met.wait(LONG)
            return threading.get_ident()

        return number, set(in_parts(meet, 8, 1.0))

    found = all_at_each([lambda k=k: own(k) for k in range(3)])
    assert [k for k, _ in found] == [0, 1, 2]
    assert len(found[2][1]) == 2


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64])
def test_parts_are_the_whole_once(count):
    for numbers in (0, 10 * threads.WORTH):
        assert [k for some in parts(count, numbers) for k in range(count)[some]] == list(range(count))


def in_turn(find):
    """What is found by one, two and three threads."""
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            with one_thread_each():
                found.append(find())
    finally:
        torch.set_num_threads(before)
    return found


def test_factorizations_are_the_same_bits_on_any_number_of_threads(divided):
    torch.manual_seed(0)
    n, tree = 20, [Front((0,), (2, 3), ()), Front((1,), (2, 3), ()), Front((2, 3), (), (0, 1))]
    pairs = [(0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    blocks, b = torch.randn(len(pairs), n, n, dtype=torch.float64), torch.randn(4, n, 3, dtype=torch.float64)
    diagonal = 10 * n * torch.eye(n, dtype=torch.float64).expand(4, n, n)
    ones = torch.ones(4, n, dtype=torch.float64)
    one, two, three = in_turn(lambda: BlockCholesky(BlockMatrix(diagonal, pairs, blocks), tree).solve(b))
    assert torch.equal(one, two) and torch.equal(one, three)
    whole = torch.block_diag(*diagonal).reshape(4, n, 4, n)
    for k, (i, j) in enumerate(pairs):
        whole[i, :, j], whole[j, :, i] = blocks[k], blocks[k].T
    assert torch.allclose(torch.linalg.solve(whole.reshape(4 * n, -1), b.reshape(4 * n, 3)), one.reshape(-1, 3))
    one, two, three = in_turn(lambda: BlockLU((diagonal, blocks, blocks.mT), pairs, ones, tree).solve(b))
    assert torch.equal(one, two) and torch.equal(one, three)


def test_large_fronts_are_factorized_block_by_block(divided):
    torch.manual_seed(1)
    n = LARGE + 300
    A = torch.randn(n, n, dtype=torch.float64)
    A = A @ A.T + n * torch.eye(n, dtype=torch.float64)
    b = torch.randn(1, n, 2, dtype=torch.float64)
    matrix = BlockMatrix(A[None], [], A.new_zeros(0, n, n))
    one, two, three = in_turn(lambda: BlockCholesky(matrix, [Front((0,), (), ())]).solve(b))
    assert torch.equal(one, two) and torch.equal(one, three)
    assert torch.allclose(A @ one[0], b[0], atol=1e-9)


@pytest.mark.parametrize("kind", ["wave", "flow"])
def test_marches_are_the_same_bits_on_any_number_of_threads(divided, kind):
    box = ps.Box(x=(0, 1), y=(0, 1), t=(0, 0.1))
    equation = {"wave": "u_tt = laplacian(u)", "flow": "u_t = laplacian(u) - u*u_x"}[kind]
    at_first = {"u0": ps.Condition(on="t = 0", equation="u = sin(pi*x)*sin(pi*y)")}
    if kind == "wave":
        at_first["v0"] = ps.Condition(on="t = 0", equation="u_t = 0")
    problem = ps.Problem(
        name=kind, domain=box, unknowns="u", equations={"e": equation},
        conditions={**at_first, "rim": ps.Condition(on="boundary", equation="u = 0")}, solve={"tolerance": 1e-2},
    )  # fmt: skip
    one, two, three = in_turn(lambda: ps.solve(problem).coefficients)
    assert torch.equal(one, two) and torch.equal(one, three)


@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.complex128])
def test_products_are_those_of_torch_in_any_layout(kind):
    torch.manual_seed(0)
    A, x = torch.randn(6, 8, 10, dtype=kind), torch.randn(6, 10, 3, dtype=kind)
    layouts = [
        (A, x), (A.mT.contiguous().mT, x), (A[:, 2:7, ::2], x[:, ::2]), (A[:1], x), (A, x[:1]), (A[:, :1], x),
        (A, x[..., :1]), (A.mT, A), (A[:0], x[:0]), (A[..., :0], x[:, :0]), (A, x.permute(1, 2, 0).permute(2, 0, 1)),
        (A.conj(), x), (A, A.mT.conj()),
    ]  # fmt: skip
    near = 1e-5 if kind is torch.float32 else 1e-12
    for left, right in layouts:
        assert torch.allclose(times(left, right), left @ right, rtol=near, atol=near)


def test_gradients_go_through_products():
    A, x = (torch.randn(3, 4, 4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    (found,) = torch.autograd.grad(times(A, x).square().sum(), [A])
    (wanted,) = torch.autograd.grad((A @ x).square().sum(), [A])
    assert torch.allclose(found, wanted)
