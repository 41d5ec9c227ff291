"""A second device on machines that have none: tensors that say they are elsewhere, and are computed by the processor.

Within `SecondDevice()`, tensors of the device `meta` hold numbers. An operation whose tensors are not all on the same
device fails, as it does between the processor and a card; so does the way to numpy without `.cpu()`. What code creates
by itself, without a device, is on the processor, unless `torch.device` says otherwise; so whatever is hard-wired to
the processor is found by running it.
"""

from __future__ import annotations

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map, tree_map_only

ELSEWHERE = torch.device("meta")
INDEXED = ("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_")  # indices may be elsewhere
BETWEEN = ("aten::_to_copy", "aten::copy_")  # what moves numbers from one device to the other


class There(torch.Tensor):
    """A tensor that is elsewhere; `held`: its numbers."""

    @staticmethod
    def __new__(cls, held: torch.Tensor):
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            layout=held.layout, device=ELSEWHERE, requires_grad=held.requires_grad,
        )  # fmt: skip
        made.held = held
        return made

    def __repr__(self) -> str:
        return f"There({self.held!r})"

    def tolist(self):
        """The numbers, which torch moves by itself; not of subclasses."""
        return self.held.tolist()

    def numpy(self, *arguments, **named):
        """Fails, as on a card."""
        raise TypeError("can't convert a tensor of another device to numpy; use .cpu() first")

    def __array__(self, *arguments, **named):
        return self.numpy()

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        return _computed(function, arguments, named or {})


class SecondDevice(TorchDispatchMode):
    """Within it, the second device is there."""

    def __enter__(self):
        self._made = _MadeOfNumbers()
        self._made.__enter__()
        return super().__enter__()

    def __exit__(self, *ended):
        super().__exit__(*ended)
        self._made.__exit__(*ended)

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        return _computed(function, arguments, named or {})


class _MadeOfNumbers(TorchFunctionMode):
    """Tensors of lists, for which torch takes no numbers to the device `meta`, are made here and moved."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = dict(named or {})
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and isinstance(arguments[0], There):
            arguments = (arguments[0], _by_tensors(arguments[1]), *arguments[2:])
        device = named.get("device")
        if function is torch.Tensor.new_tensor and device is None:
            device = named["device"] = arguments[0].device
            named.setdefault("dtype", arguments[0].dtype)
            function, arguments = torch.tensor, arguments[1:]
        numbers = function in (torch.tensor, torch.as_tensor) and not isinstance(arguments[0], torch.Tensor)
        if numbers and device is not None and torch.device(device) == ELSEWHERE:
            return function(*arguments, **{**named, "device": "cpu"}).to(ELSEWHERE)
        return function(*arguments, **named)


def _by_tensors(index):
    """An index whose lists are tensors."""
    parts = index if isinstance(index, tuple) else (index,)
    made = tuple(
        torch.tensor(p, device="cpu", dtype=None if p else torch.long).to(ELSEWHERE) if isinstance(p, list) else p
        for p in parts
    )
    return made if isinstance(index, tuple) else made[0]


def _computed(function, arguments, named):
    """An operation, on the one device that its tensors are on."""
    tensors = [x for x in tree_flatten((arguments, named))[0] if isinstance(x, torch.Tensor)]
    name = function._schema.name
    sized = [x for x in tensors if x.ndim or isinstance(x, There)]
    there = [isinstance(x, There) for x in (sized[:1] if name in INDEXED else sized)]
    if name not in BETWEEN and any(there) and not all(there):
        where = ", ".join(f"{tuple(x.shape)} {'there' if isinstance(x, There) else 'here'}" for x in tensors)
        raise RuntimeError(f"{name}: expected all tensors to be on the same device: {where}")
    if name in INDEXED and not any(there) and any(isinstance(x, There) for x in sized):
        raise RuntimeError(f"{name}: indices should be either on cpu or on the same device as the indexed tensor")
    goes = any(there)
    if named.get("device") is not None:
        goes = torch.device(named["device"]).type == ELSEWHERE.type
        named = {**named, "device": torch.device("cpu")}
    if named.get("generator") is not None and goes:
        raise RuntimeError(f"{name}: expected a generator of the device")
    if name == "aten::copy_":
        goes = isinstance(arguments[0], There)
    held = tree_map_only(There, lambda x: x.held, (arguments, named))
    found = function(*held[0], **held[1])
    if name.endswith("_") and not name.endswith("__") and isinstance(arguments[0], torch.Tensor):
        return arguments[0]
    return tree_map(lambda x: There(x) if goes and isinstance(x, torch.Tensor) else x, found)
