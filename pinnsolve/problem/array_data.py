"""Data and tables that are arrays, in a problem stated in Python: they become files, as everything else does.

Input: what is said of data or a table. Output: the same with the name of a file, and the folder where the files lie.
The arrays themselves are only looked at by `files.array_files`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pinnsolve.errors import PinnsolveError


class ArrayFiles:
    """The columns of a problem by the name of the file that they go to. `problem` tells, `name_of` names a symbol."""

    def __init__(self, problem: Callable[..., None], name_of: Callable[[Any], Any]):
        self.problem, self.name_of = problem, name_of
        self.columns: dict[str, Mapping[str, Any]] = {}

    def with_file(self, item: Mapping[str, Any], key: str) -> dict[str, Any]:
        """What is said of data or a table, with a file in the place of columns."""
        said = {k: v for k, v in item.items() if k != "columns" or v is None}
        columns = item.get("columns")
        if columns is None:
            return said
        from pinnsolve.files.array_files import columns_of

        if said.get("file") is not None:
            self.problem("both a file and columns are given", key, hint="one of them will do")
        said["file"] = name = re.sub(r"[^\w-]", "_", key.replace(".", "-")) + ".npz"
        try:
            self.columns[name] = columns_of(columns, self.name_of)
        except PinnsolveError as error:
            self.problem(str(error), f"{key}.columns", hint="as in `columns={x: places, 'measured': values}`")
        return said

    def folder(self, keys: Mapping[str, Any], folder: str | Path | None) -> str | Path | None:
        """Where the data files lie: where it is said, or with arrays, in a folder of this process with all of them."""
        if not self.columns:
            return folder
        from pinnsolve.files.array_files import gather, own_folder, write_columns

        own = own_folder()
        gather((name for name in _files_in(keys) if name not in self.columns), Path(folder or "."), own)
        for name, columns in self.columns.items():
            write_columns(own / name, columns)
        return own


def _files_in(keys: Any) -> Iterator[str]:
    """The names of the files that a problem mentions: of data, tables, meshes, a reference."""
    if isinstance(keys, Mapping):
        for key, value in keys.items():
            if key in ("file", "mesh") and isinstance(value, str | Path):
                yield str(value)
            yield from _files_in(value)
    elif isinstance(keys, list | tuple):
        for item in keys:
            yield from _files_in(item)
