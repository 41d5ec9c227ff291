"""Plain values to YAML that reads back the same by the core schema of YAML 1.2.

Input: maps, lists, texts, numbers. Output: text. PyYAML lays it out; which texts need quotes is decided by our reader,
so that `on` stays bare and the text `1e-6` is quoted.
"""

from __future__ import annotations

from typing import Any

import yaml

from pinnsolve.files.yaml_reader import scalar

_TEXT = "tag:yaml.org,2002:str"


class _Dumper(yaml.SafeDumper):
    """A dumper without YAML 1.1's rules on which words are no texts."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 - PyYAML reads it from the class

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, value: str) -> yaml.Node:
    style = None
    if not isinstance(scalar(value), str):
        style = '"'
    elif "\n" in value.strip():
        style = "|"
    return dumper.represent_scalar(_TEXT, value, style=style)


def _represent_number(dumper: _Dumper, value: Any) -> yaml.Node:
    text = str(value).lower() if isinstance(value, bool) else "null" if value is None else repr(value)
    return dumper.represent_scalar(_TEXT, {"nan": ".nan", "inf": ".inf", "-inf": "-.inf"}.get(text, text))


def _represent_list(dumper: _Dumper, value: list) -> yaml.Node:
    flat = all(not isinstance(item, dict | list) and len(str(item)) < 30 for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=flat)


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(list, _represent_list)
for _kind in (int, float, bool, type(None)):
    _Dumper.add_representer(_kind, _represent_number)


def write_yaml(data: dict[str, Any]) -> str:
    """The text of a YAML document. Loading it gives `data` again."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)
