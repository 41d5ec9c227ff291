"""Files in the words of other tools: what they mean in ours, and an error for each that holds the line to write.

Input: the plain values of a file. Output: the file as it was meant, so that all of it is checked in one go, its places,
and the errors. What is not clear is left as it is, for the check of keys. No sympy.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pinnsolve.errors import Diagnostic
from pinnsolve.language.other_notations import rewritten
from pinnsolve.spec.located_errors import KeyPath, Places
from pinnsolve.spec.names import state_functions
from pinnsolve.spec.other_tools import intervals
from pinnsolve.spec.other_tools.conditions import conditions_of, is_word, restated, split, values_at
from pinnsolve.spec.other_tools.coordinates import MAX_TEXT, CoordinateReader
from pinnsolve.spec.other_tools.equations import constant, entry_name, listed, strong
from pinnsolve.spec.other_tools.lines import joined, line, unique
from pinnsolve.spec.other_tools.places import BOUNDARY, INITIAL, Facts, place_in_words
from pinnsolve.spec.other_tools.words import ABOUT, EXAMPLES, KINDS, PERIODIC, SHAPES, SOUGHT, plain, setting_hint
from pinnsolve.spec.schema.schema import ConditionInput, EquationInput, ProblemFile
from pinnsolve.spec.schema.shapes import boundary_names
from pinnsolve.spec.schema.solve import SolveSettings

_KEYS = tuple(ProblemFile.model_fields)
_TEXTS = ("equations", "equation", "pde", "pdes", "ode", "odes", "eq", "eqs", "residual", "system")


def mend_other_tools(data: dict[str, Any], places: Places) -> tuple[dict[str, Any], Places, list[Diagnostic]]:
    """The file in our words, its places, and an error for each word of another tool, with the line to write."""
    mender = _Mender(data, places)
    mender.coordinates()
    mender.unknowns()
    mender.settings()
    mender.parameters()
    mender.sought()
    mender.equations()
    mender.conditions()
    mender.functions()
    mender.others()
    return mender.data, replace(places, data=mender.data, renamed=mender.renamed), mender.found


class _Mender:
    def __init__(self, data: dict[str, Any], places: Places):
        self.data, self.places = copy.deepcopy(data), places
        self.found: list[Diagnostic] = []
        self.renamed: dict[KeyPath, KeyPath] = dict(places.renamed)
        self.about: dict[str, list[str]] = {}
        for key, value in self.data.items():
            singular = f"{plain(key)}s" in _KEYS and (isinstance(value, Mapping) or plain(key) == "unknown")
            if key not in _KEYS and not singular and len(str(value)) <= MAX_TEXT:
                self.about.setdefault(ABOUT.get(plain(key), ""), []).append(key)

    def tell(self, path: KeyPath, hint: str, message: str = "unknown key") -> None:
        self.found.append(self.places.diagnostic(path, message, hint))

    def take(self, about: str) -> list[tuple[str, Any]]:
        """The keys about something, taken out of the file."""
        return [(key, self.data.pop(key)) for key in self.about.get(about, ())]

    # -- coordinates and unknowns --

    def coordinates(self) -> None:
        """`domain: [0, 1]`, `geometry: Rectangle(...)`, `time: [0, 1]`, `x: [0, 1]`, `coordinates: "x in [0, 1]"`."""
        domain = self.data.get("domain")
        for key in [k for k in domain if plain(k) in SHAPES] if isinstance(domain, dict) else ():
            ours = SHAPES[plain(key)]
            domain[ours] = domain.pop(key)
            self.tell(("domain", key), f"write `{line('domain', {ours: domain[ours]})}`")
            self.renamed[("domain", ours)] = ("domain", key)
        found = CoordinateReader(self.data, self.about, self._texts()).read()
        if found is None:
            return
        for key in found.sources:
            self.data.pop(key, None)
        for key in found.sources:
            words = " and ".join(f"`{line(k, v)}`" for k, v in found.parts.items())
            self.tell((key,), f"write {words}{found.more}", *_message(key))
        for key, value in found.parts.items():
            self._put(key, value, found.sources[0])

    def _texts(self) -> str:
        """All equations, whatever their key."""
        keys = (k for k in self.data if plain(k) in _TEXTS or k in self.about.get("equations", ()))
        return " ".join(str(self.data[k]) for k in keys)[:MAX_TEXT]

    def _put(self, key: str, value: Any, source: str) -> None:
        self.data[key] = value
        if key != source:
            self.renamed[(key,)] = (source,)

    def unknowns(self) -> None:
        """`unknowns: u(x, t)`, `dependent_variables: [u]`, and none at all where equations show them."""
        sources = [k for k in ("unknowns",) if k in self.data and _is_odd(self.data[k])]
        sources += self.about.get("unknowns", ()) if "unknowns" not in self.data else []
        for key in sources:
            value = self.data.get(key)
            names = [re.sub(r"\s*[(\[].*$", "", name).strip() for name in listed(value)]
            if names and all(name.isidentifier() for name in names):
                found = names[0] if len(names) == 1 else names
                self.data.pop(key)
                message = (
                    "unknown key" if key not in _KEYS else "the arguments of unknowns are clear from `coordinates`"
                )
                self.tell((key,), f"write `{line('unknowns', found)}`", message)
                self._put("unknowns", found, key)
        if "unknowns" not in self.data:
            shown = self._shown_unknowns()
            if shown:
                found = shown[0] if len(shown) == 1 else shown
                self.tell(("unknowns",), f"write `{line('unknowns', found)}`", "the key is missing")
                self.data["unknowns"] = found

    def _shown_unknowns(self) -> list[str]:
        """The names that equations differentiate."""
        letters = "|".join(map(re.escape, self.facts().intervals)) or "[xyt]"
        text = self._texts()
        pattern = (
            rf"\b([A-Za-z]\w*?)_(?:{letters})+\b|\b(?:D|diff)[(\[](\w+)|[d∂][2-4²^]*(\w)/[d∂](?:{letters})|\b([a-z])'"
        )
        found = [next(name for name in m.groups() if name) for m in re.finditer(pattern, text)]
        return list(dict.fromkeys(found))

    def facts(self) -> Facts:
        """What the file says so far."""
        stated, unknowns = self.data.get("coordinates"), self.data.get("unknowns")
        found = {k: v for k, v in stated.items() if k != "system"} if isinstance(stated, Mapping) else {}
        domain, time = self.data.get("domain"), self.data.get("time")
        if isinstance(time, Mapping):
            found = {**time, **found}
        if isinstance(domain, Mapping):
            box = domain.get("box")
            found |= box if isinstance(box, Mapping) else {} if found.keys() - {"t"} else {"x": None, "y": None}
        named = time if isinstance(time, str) else next(iter(time), None) if isinstance(time, Mapping) else "t"
        names = unknowns if isinstance(unknowns, list | Mapping) else [unknowns]
        sought = state_functions(unknowns)
        names = [name for name in names if isinstance(name, str) and name not in sought]
        parts = ("parameters", "definitions", "unknown_parameters")
        known = {*map(str, sought), *(str(k) for part in parts for k in self._map(part))}
        return Facts(
            {str(name): ends for name, ends in found.items()},
            named if named in found else None,
            tuple(name for name in names if name.isidentifier()),
            tuple(boundary_names(domain)) if isinstance(domain, Mapping) else (),
            frozenset(known),
        )

    def _map(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        return value if isinstance(value, dict) else {}

    # -- settings and parameters --

    def settings(self) -> None:
        """`epochs: 10000`, `lr: 1e-3`, at the top and under `solve`."""
        for key in [k for k in self.data if k not in _KEYS and k not in self.about.get("exact", ())]:
            if plain(key) not in ABOUT and (hint := setting_hint(key, self.data[key])):
                self.tell((key,), hint)
                del self.data[key]
        solve = self._map("solve")
        for key in [k for k in solve if k not in SolveSettings.model_fields]:
            if hint := setting_hint(key, solve[key]):
                self.tell(("solve", key), hint)
                del solve[key]

    def parameters(self) -> None:
        """`params: {nu: 0.1}`, `constants: nu = 0.1`."""
        sources = [k for k in ("parameters",) if isinstance(self.data.get(k), str | list)]
        for key in sources + [k for k in self.about.get("parameters", ()) if "parameters" not in self.data]:
            value = self.data[key]
            if isinstance(value, Mapping):
                found = {name: constant(item) for name, item in value.items()}
            else:
                texts = [p for item in (value if isinstance(value, list) else [value]) for p in split(str(item), ",")]
                pairs = [text.partition("=") for text in texts]
                if not all(mark and name.strip().isidentifier() for name, mark, _ in pairs):
                    continue
                found = {name.strip(): constant(intervals.number(text)) for name, _, text in pairs}
            self.data.pop(key)
            self.tell((key,), f"write `{line('parameters', found)}`", *_message(key))
            self._put("parameters", found, key)

    def sought(self) -> None:
        """`parameters: {k: unknown}`, `data: values.csv` and `eigenvalues: 5`."""
        stated, facts = self._map("parameters"), self.facts()
        for name in [k for k, v in stated.items() if isinstance(v, str) and plain(v) in SOUGHT and v not in stated]:
            del stated[name]
            found = {name: {"guess": 1}}
            self.tell(("parameters", name), f"write `{line('unknown_parameters', found)}`", "its value is missing")
            self.data.setdefault("unknown_parameters", {}).update(found)
            self.renamed[("unknown_parameters", name)] = ("parameters", name)
        if not stated:
            self.data.pop("parameters", None)
        file, unknown = self.data.get("data"), next(iter(facts.unknowns), "u")
        if isinstance(file, str):
            said = {"measured": {"file": file, "equation": f"{unknown} = measured"}}
            words = f"write `{line('data', said)}`, with the name of the file's column in place of `measured`"
            self.tell(("data",), words, "what was measured is missing")
            del self.data["data"]
        count, known = self.data.get("eigenvalues"), {*facts.known, *facts.unknowns, *facts.intervals}
        if isinstance(count, int) and not isinstance(count, bool):
            names = dict.fromkeys(re.findall(r"\b(?:lambda|lam|mu|omega|E|k)\b", self._texts()))
            name = next((name for name in names if name not in known), "lambda")
            self.data["eigenvalues"] = {"name": name, "count": count}
            words = f"write `{line('eigenvalues', self.data['eigenvalues'])}`"
            self.tell(("eigenvalues",), words, "the name that stands for an eigenvalue in the equations is missing")

    # -- equations --

    def equations(self) -> None:
        """`pde: u_t = u_xx`, a list of equations, and conditions among them."""
        facts = self.facts()
        for key in [*(k for k in ("equations",) if k in self.data), *self.about.get("equations", ())]:
            value = self.data[key]
            if key == "equations" and not isinstance(value, str | list):
                self._conditions_among(value, facts)
                continue
            entries = dict(self._equation_entries(key, value, facts))
            if not entries:
                continue
            self.data.pop(key)
            self.tell((key,), f"write `{line('equations', entries)}`", *_message(key))
            self._merge("equations", entries, key)

    def _equation_entries(self, key: str, value: Any, facts: Facts) -> list[tuple[str, Any]]:
        if isinstance(value, Mapping):
            known = {plain(k) for k in value} & {*EquationInput.model_fields}
            if not known and all(isinstance(text, str) for text in value.values()):
                return [(str(k), strong(text, facts)) for k, text in value.items()]
            return [(entry_name(key, 0, 1), dict(value))] if known else []
        texts = value if isinstance(value, list) else [t for t in re.split(r"[;\n]", str(value)) if t.strip()]
        if not texts or not all(isinstance(text, str) for text in texts):
            return []
        return [(entry_name(key, i, len(texts)), strong(text, facts)) for i, text in enumerate(texts)]

    def _conditions_among(self, value: Any, facts: Facts) -> None:
        """Equations at a place, `u(0) = 1`, are conditions."""
        for name in list(value) if isinstance(value, dict) else ():
            text = value[name]
            if isinstance(text, str) and len(text) < MAX_TEXT and values_at(text, BOUNDARY, facts):
                entries = joined(list(conditions_of(text, BOUNDARY, facts, name)))
                del value[name]
                self.tell(("equations", name), f"write `{line('conditions', entries)}`", "a condition at a place")
                self._merge("conditions", entries, "equations")

    def _merge(self, key: str, entries: Mapping[str, Any], source: str) -> None:
        kept = self.data.setdefault(key, {})
        if not isinstance(kept, dict):
            return
        for name, item in entries.items():
            new = unique(name, kept)
            kept[new] = item
            self.renamed[(key, new)] = (source,)

    # -- conditions --

    def conditions(self) -> None:
        """`bc: {left: 0}`, `ic: sin(pi*x)`, a list of conditions, and odd entries of `conditions`."""
        facts = self.facts()
        stated = self.data.get("conditions")
        if isinstance(stated, dict):
            self._entries(stated, facts)
        elif isinstance(stated, list | str):
            self._restate("conditions", stated, BOUNDARY, facts)
        for kind in (BOUNDARY, INITIAL):
            for key in self.about.get(kind, ()):
                self._restate(key, self.data[key], kind, facts)

    def _restate(self, key: str, value: Any, kind: str, facts: Facts) -> None:
        if plain(key) in PERIODIC:
            value = plain(key)
        elif plain(key) in KINDS and isinstance(value, Mapping | int | float):
            value = {plain(key): value}  # `neumann: {left: 0}` says what `bc: {neumann: {left: 0}}` does
        entries = joined(list(conditions_of(value, kind, facts, key)))
        if entries:
            self.data.pop(key)
            self.tell((key,), f"write `{line('conditions', entries)}`", *_message(key))
            self._merge("conditions", entries, key)

    def _entries(self, stated: dict[str, Any], facts: Facts) -> None:
        """The entries of `conditions` that are not in our words."""
        for name in list(stated):
            item = stated[name]
            if len(str(item)) > MAX_TEXT:
                continue
            if isinstance(item, dict) and {*item} <= {*ConditionInput.model_fields}:
                self._place(name, item, facts)
                continue
            if isinstance(item, dict) and "equation" in item and not any(is_word(key, facts) for key in item):
                continue  # a slip of the pen, for the check of keys
            kind = INITIAL if plain(name) in ("ic", "initial", "start", "initial_condition", "t0") else BOUNDARY
            entries = joined(list(conditions_of({name: item}, kind, facts)))
            if not entries:
                continue
            del stated[name]
            self.tell(("conditions", name), f"write `{line('conditions', entries)}`", "not in the words of a condition")
            for own, entry in entries.items():
                new = unique(own, stated)
                stated[new] = entry
                self.renamed[("conditions", new)] = ("conditions", name)

    def _place(self, name: str, item: dict[str, Any], facts: Facts) -> None:
        """`on: left`, which is `on: "x = 0"`; `u(0, t) = 0` at a place; `periodic: true`."""
        for key, message in restated(item, facts):
            words = line(name, item) if key == "equation" else line(key, item[key])
            self.tell(("conditions", name, key), f"write `{words}`", message)
        places, domain = item.get("on"), self.data.get("domain")
        if domain is not None and not (isinstance(domain, Mapping) and isinstance(domain.get("box"), Mapping)):
            return  # sides are those of a box
        several = places if isinstance(places, list) else [places]
        ours = [place_in_words(place, facts) for place in several]
        if any(o is not None for o in ours):
            found = [o or [place] for o, place in zip(ours, several, strict=True)]
            new = [place for some in found for place in some]
            item["on"] = new[0] if len(new) == 1 else new
            self.tell(("conditions", name, "on"), f"write `{line('on', item['on'])}`", "not a place of this problem")

    # -- functions --

    def functions(self) -> None:
        """`solution: u(x) = sin(x)`, and `exact: u = sin(x)`."""
        facts = self.facts()
        for about, target in (("exact", "exact"), ("guess", "guess")):
            own = [target] if isinstance(self.data.get(target), str) and "=" in self.data[target] else []
            for key in own + [k for k in self.about.get(about, ()) if target not in self.data]:
                value = self.data.pop(key)
                found = dict(value) if isinstance(value, Mapping) else self._function(value, facts)
                self.tell((key,), f"write `{line(target, found)}`", *_message(key))
                self._put(target, found, key)

    def _function(self, value: Any, facts: Facts) -> dict[str, str]:
        head, mark, right = str(value).partition("=")
        name = re.sub(r"\s*[(\[].*$", "", head).strip() if mark else next(iter(facts.unknowns), "u")
        return {name: rewritten(right if mark else head, facts.names)}

    def others(self) -> None:
        """Words whose values are not clear: an example of the line to write."""
        for about, keys in self.about.items():
            for key in (k for k in keys if about in EXAMPLES and k in self.data):
                del self.data[key]
                self.tell((key,), f"write `{EXAMPLES[about]}`")


# -- words -----------------------------------------------------------------------------------------------------


def _message(key: str) -> tuple[str, ...]:
    return () if key not in _KEYS else ("not in the words of a problem file",)


def _is_odd(unknowns: Any) -> bool:
    """Whether unknowns have arguments, or are several in one text."""
    return any(re.search(r"[(\[,]", name) for name in ([unknowns] if isinstance(unknowns, str) else listed(unknowns)))
