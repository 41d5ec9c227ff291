"""The published JSON Schema and the reference page that is made from it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from heat_file import ENVIRONMENT, HEAT, ROOT, heat

from pinnsolve.files.yaml_reader import load_yaml, parse_yaml
from pinnsolve.spec.spec import json_schema, spec_from_dict


def test_json_schema():
    schema = json_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["name", "unknowns"]
    for model in (schema, *schema["$defs"].values()):
        for name, field in model["properties"].items():
            assert field.get("description") or "$ref" in field, name
    assert '"null"' not in json.dumps(schema)


def fits(value, schema, root) -> bool:
    """The part of JSON Schema that is used here."""
    if "$ref" in schema:
        return fits(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "anyOf" in schema and not any(fits(value, form, root) for form in schema["anyOf"]):
        return False
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        return False
    is_number = isinstance(value, int | float)
    if is_number and "exclusiveMinimum" in schema and not value > schema["exclusiveMinimum"]:
        return False
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": int | float, "boolean": bool}
    if "type" in schema and not isinstance(value, kinds[schema["type"]]):
        return False
    if isinstance(value, list):
        right_length = schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value))
        return right_length and all(fits(item, schema.get("items", {}), root) for item in value)
    if not isinstance(value, dict):
        return True
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    if not set(schema.get("required", ())) <= set(value) or (others is False and not set(value) <= set(known)):
        return False
    return all(
        fits(item, known.get(key, others if isinstance(others, dict) else {}), root) for key, item in value.items()
    )


@pytest.mark.parametrize("path", sorted((ROOT / "problems").glob("*.yaml")), ids=lambda path: path.stem)
def test_problem_files_fit_the_published_schema(path):
    assert fits(load_yaml(path).data, json_schema(), json_schema())


def as_json(value):
    """Values of YAML 1.1 as JSON has them: a key that is a truth value by its name."""
    if isinstance(value, dict):
        return {str(key).lower() if isinstance(key, bool) else key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, list) else value


def test_problem_files_fit_the_schema_in_editors_that_read_yaml_1_1():
    schema, files = json_schema(), sorted((ROOT / "problems").glob("*.yaml"))
    read = {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in files}
    assert any(True in item for problem in read.values() for item in problem.get("conditions", {}).values())
    assert [name for name, problem in read.items() if not fits(as_json(problem), schema, schema)] == []


@pytest.mark.parametrize(
    "changes", [{"titel": "x"}, {"solve": {"method": "lsg"}}, {"name": None}, {"equations": 3}, {"exact": {"u": []}}]
)
def test_wrong_files_do_not_fit_the_published_schema(changes):
    assert fits(HEAT, json_schema(), json_schema())
    assert not fits(heat(**changes), json_schema(), json_schema())


def test_the_reference_page_is_up_to_date_and_its_examples_are_right():
    subprocess.run([sys.executable, "scripts/make_reference.py", "--check"], cwd=ROOT, env=ENVIRONMENT, check=True)
    examples = (ROOT / "docs" / "problem-file.md").read_text().split("```yaml\n")[1:]
    assert len(examples) >= 2
    for example in examples:
        spec_from_dict(parse_yaml(example.split("```")[0]).data)
