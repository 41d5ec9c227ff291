"""Asks a person on the terminal what a problem is.

Input: a name, and answers on standard input. Output: the text of a problem file.
"""

from __future__ import annotations

import typer

from pinnsolve.files.yaml_writer import write_yaml
from pinnsolve.output.console import say
from pinnsolve.spec.interview import Question, interview


def interviewed(name: str) -> str:
    """The text of the file that the answers make."""
    return write_yaml(interview(name, _ask))


def _ask(question: Question) -> str:
    """An answer that nothing is wrong with; what is wrong with others is told."""
    while True:
        answer = str(typer.prompt(question.text, default=question.default)).strip()
        complaint = question.complaint(answer)
        if complaint is None:
            return answer
        say(complaint)
