"""Formulas of a page: what is written stands there, parentheses where they are needed and nowhere else."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pinnsolve.errors import ExpressionError
from pinnsolve.files.yaml_reader import parse_yaml
from pinnsolve.language import to_mathml

PROBLEMS = sorted((Path(__file__).resolve().parents[1] / "problems").glob("*.yaml"))


def words(formula: str) -> str:
    """A formula on one line: fractions as `{a/b}`, powers as `a^{b}`, indices as `a_{b}`."""
    return _words(ElementTree.fromstring(formula)).replace("\u2061", "").replace("\xa0", " ")


def _words(node: ElementTree.Element) -> str:
    parts = [_words(child) for child in node]
    match node.tag:
        case "mfrac":
            return f"{{{parts[0]}/{parts[1]}}}"
        case "msup":
            return f"{parts[0]}^{{{parts[1]}}}"
        case "msub":
            return f"{parts[0]}_{{{parts[1]}}}"
        case "msqrt":
            return f"√{{{''.join(parts)}}}"
        case "mtr":
            return f"<{'; '.join(parts)}>"
    assert not (parts and (node.text or "").strip()), "text beside elements is not drawn"
    return "".join(parts) or (node.text or "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b*c - d", "a+b\u2062c−d"),
        ("(a + b)*c", "(a+b)\u2062c"),
        ("4*x*(1 - x)", "4\u2062x\u2062(1−x)"),
        ("x*2*3", "x·2·3"),
        ("a - (b - c)", "a−(b−c)"),
        ("a/b*c", "{a/b}\u2062c"),
        ("a*b/(c + d)", "{a\u2062b/c+d}"),
        ("(a + b)/c", "{a+b/c}"),
        ("a/(b/c)", "{a/{b/c}}"),
        ("-x**2", "−x^{2}"),
        ("(-x)**2", "(−x)^{2}"),
        ("a + (-b)", "a+(−b)"),
        ("(a*b)**(n + 1)", "(a\u2062b)^{n+1}"),
        ("2**-n", "2^{−n}"),
        ("sin(pi*x)**2", "sin^{2}(π\u2062x)"),
        ("f(x)**2", "f(x)^{2}"),
        ("sqrt(x**2 + 1)", "√{x^{2}+1}"),
        ("abs(x - floor(x))", "|x−⌊x⌋|"),
        ("re(z)*conj(z)", "Re(z)\u2062z¯"),
        ("exp(-(x - 1)/nu)", "e^{−{x−1/ν}}"),
        ("-u*v + a*(-b)", "−u\u2062v+a\u2062(−b)"),
        ("bessel_j(0, x1)", "J_{0}(x_{1})"),
        ("asin(x) + heaviside(t)*sign(x)", "arcsin(x)+H(t)\u2062sgn(x)"),
        ("D(u, t)", "{∂u/∂t}"),
        ("D(u, x, x, y)", "{∂^{3}u/∂x^{2}∂y}"),
        ("D(u, x, 3)", "{∂^{3}u/∂x^{3}}"),
        ("D(k*D(u, x), x)", "{∂/∂x}(k\u2062{∂u/∂x})"),
        ("D(u, x)**2", "({∂u/∂x})^{2}"),
        ("laplacian(u)/Re", "{Δu/Re}"),
        ("laplacian(u + v)", "Δ(u+v)"),
        ("grad_dot(u, v)", "∇u·∇v"),
        ("div([u, v])", "∇·(u,v)"),
        ("advect([u, v], u)", "((u,v)·∇)u"),
        ("Dn(u) + n_x", "{∂u/∂n}+n_{x}"),
        ("where(x < 1/2, a, where(x >= 1, b, c))", "{<a; if x<{1/2}><b; if x≥1><c; otherwise>"),
        ("x < 1 and not y == 2 or z != 0", "x<1 and not y=2 or z≠0"),
        ("1e-3 + 0.25 + 1e-9 + 3e7", "0.001+0.25+10^{−9}+3·10^{7}"),
        ("memory(u)", "memory(u)"),
        ("theta_1 + u_in + alpha", "θ_{1}+u_{in}+α"),
    ],
)
def test_expressions(text, expected):
    assert words(to_mathml.expression(text)) == expected


def test_ordinary_derivatives_have_an_upright_d():
    formula = to_mathml.equation("D(u, t, t) = -u", ordinary=True)
    assert words(formula) == "{d^{2}u/dt^{2}}=−u"
    assert formula.count('mathvariant="normal"') == 2


def test_a_long_sum_stands_on_several_lines():
    summands = [f"a{i}*sin({i}*pi*x)" for i in range(1, 30)]
    lines = re.findall("<[^<>]*>", words(to_mathml.equation(f"D(u, t) = {' + '.join(summands)}")))
    assert len(lines) > 2 and "".join(lines).count("sin") == 29
    assert all(line.count("sin") <= 12 for line in lines)


def test_what_is_too_long_stays_text():
    text = "u = " + "+".join(["x"] * 500)
    assert to_mathml.equation(text).startswith("<code>u = x+x")


@pytest.mark.parametrize("text", ["a = b", "a +", "<script>alert(1)</script>", ""])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ExpressionError):
        to_mathml.expression(text)


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: path.stem)
def test_every_equation_of_the_problems_is_well_formed(path):
    data = parse_yaml(path.read_text(encoding="utf-8")).data
    items = [item for key in ("equations", "conditions", "data") for item in data.get(key, {}).values()]
    items = [item if isinstance(item, dict) else {"equation": item} for item in items]
    texts = [item["equation"] for item in items if "equation" in item]
    texts += [text for item in items for text in item.get("equations", ())]
    exact = {n: f"[{', '.join(map(str, v))}]" if isinstance(v, list) else v for n, v in data.get("exact", {}).items()}
    texts += [f"{name} = {value}" for name, value in exact.items()]
    for text in texts:
        formula = to_mathml.equation(text)
        if not formula.startswith("<code>"):
            assert "=" in words(formula)
