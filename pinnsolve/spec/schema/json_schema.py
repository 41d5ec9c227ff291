"""JSON Schema of problem files, as editors want it.

Input: the pydantic models. Output: a JSON Schema without pydantic's traces: empty keys, generated titles, nested
defaults.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

AS_TRUE = "true"  # the key `on` where YAML 1.1 is read


def published(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a model, draft 2020-12."""
    schema = _clean(model.model_json_schema(mode="validation"))
    for part in (schema, *schema["$defs"].values()):
        _accept_yaml_1_1(part["properties"])
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**head, **schema, "title": model.model_config.get("title", model.__name__)}


def _accept_yaml_1_1(properties: dict[str, Any]) -> None:
    """Editors that read YAML 1.1 take the key `on` for the truth value, whose name as a key of JSON is `true`."""
    if "on" in properties:
        properties[AS_TRUE] = {**properties["on"], "description": "The key `on`, as YAML 1.1 reads it."}


def _clean(node: Any, names: bool = False) -> Any:
    """The schema without `null` forms and titles; `names` is true inside a map from property names."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for key, value in node.items():
        if not names and (key == "title" or (key == "default" and (value is None or isinstance(value, dict)))):
            continue
        kept[key] = _clean(value, names=not names and key in ("properties", "$defs"))
    forms = kept.get("anyOf")
    if isinstance(forms, list) and not names:
        forms = [form for form in forms if form != {"type": "null"}]
        kept.pop("anyOf")
        kept = {
            **kept,
            **({"anyOf": forms} if len(forms) > 1 else {k: v for k, v in forms[0].items() if k not in kept}),
        }
    return kept
