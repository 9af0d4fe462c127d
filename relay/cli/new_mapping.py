"""`relay mappings new`: asks the questions about a new mapping file, writes it, and lists the secrets that are still missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from relay.cli.next_steps import print_result
from relay.cli.terminal import json_option, printable
from relay.errors import ConfigurationError
from relay.mapping_files.draft import QUESTIONS, Draft, Question, applies
from relay.mapping_files.folder import name_of, read_mapping
from relay.mapping_files.writer import check_place, compose, write_new
from relay.settings import load_settings, read_environment

_EX_USAGE = 2


def _answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option to `command` for each question except the name."""
    for question in reversed(QUESTIONS[1:]):
        default = f"  [{question.default}]" if question.default else ""
        command = click.option(question.option, help=f"{question.text}.{default}")(command)
    return command


@click.command
@click.argument("name", required=False)
@_answer_options
@click.option("--output", help="File to write instead of RELAY_MAPPINGS/NAME.yaml; - prints it.")
@json_option
def new(name: str | None, *, output: str | None, as_json: bool, **given: str | None) -> None:
    """Create the mapping file of a new integration.

    Writes NAME.yaml in RELAY_MAPPINGS, and lists the secrets that are still missing. On a terminal, it asks for each answer that
    is not given as an option. It never asks for a secret: the file contains only the name of each secret's variable or file. An
    existing file is never replaced. Exit status 1 if nothing could be written, 2 if answers are wrong or missing.

    \b
    Example:
      relay mappings new acme-prod
      relay mappings new acme-prod --source servicenow --customer-id ACME --integration-id 42 \\
        --iem-url https://iem.example.com --iem-username relay@example.com
    """
    answers = {key: answer for key, answer in {"name": name, **given}.items() if answer is not None}
    can_ask = _is_terminal(sys.stdin) and _is_terminal(sys.stderr)
    faults = [*_faults_of(answers, is_complete=not can_ask), *_output_faults(output, answers, as_json=as_json)]
    if faults:
        _refuse(faults)
    path = _choose_path(output, answers)
    if can_ask:
        _ask_for_the_rest(answers)
    file = compose(Draft(**answers), path)
    if output == "-":
        click.echo(file.text, nl=False)
    else:
        write_new(path, file.text)
        file = read_mapping(path)
        if file.integration is None:  # another program has changed it
            raise ConfigurationError(file.formatted_faults())
    print_result(file, is_written=output != "-", as_json=as_json)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _refuse(faults: list[str]) -> NoReturn:
    for fault in faults:
        click.echo(printable(fault), err=True)
    click.echo("nothing was written; `relay mappings new --help` shows all options", err=True)
    sys.exit(_EX_USAGE)


def _faults_of(answers: Mapping[str, str], *, is_complete: bool) -> Iterator[str]:
    """Yield the faults of the given answers and, if `is_complete`, the missing answers."""
    for question in QUESTIONS:
        spelling = "NAME" if question.field == "name" else question.option
        answer = answers.get(question.field)
        if answer is None:
            if is_complete and question.default is None and applies(question, answers):
                yield f"{spelling}: missing. {question.text}"
        elif not applies(question, answers) and (is_complete or "virima_url" in answers):
            yield f"{spelling}: has no effect without --virima-url"
        elif fault := _fault_of(question, answer):
            yield f"{spelling}: {fault}"


def _fault_of(question: Question, answer: str) -> str | None:
    """Return what is wrong with an answer, or None. An invisible character was pasted or typed by mistake."""
    invisible = next((char for char in answer if char == "\n" or printable(char) != char), None)
    if invisible is not None:
        return f"contains an invisible character (U+{ord(invisible):04X}): type it again without this character"
    return question.check(answer)


def _output_faults(output: str | None, answers: Mapping[str, str], *, as_json: bool) -> Iterator[str]:
    if output == "-" and as_json:
        yield "--json: cannot be combined with `--output -`: both print to standard output"
    elif output == "":
        yield "--output: expected a path, or - for standard output"
    elif output not in {None, "-"} and (name := answers.get("name")):
        path = Path(output or "")
        if path.suffix != ".yaml" or name_of(path) != name:
            yield f"--output: a mapping file is named after its integration: use {name}.yaml, or _{name}.yaml for a draft"


def _choose_path(output: str | None, answers: dict[str, str]) -> Path:
    """Return the path of the file. The path is checked before the other questions are asked, so that no answers are lost."""
    if "name" not in answers:
        answers["name"] = _ask(QUESTIONS[0])
        if faults := list(_output_faults(output, answers, as_json=False)):
            _refuse(faults)
    default = load_settings(read_environment()).mappings / f"{answers['name']}.yaml"
    if output == "-":
        return default
    path = Path(output) if output else default
    check_place(path)
    return path


def _ask_for_the_rest(answers: dict[str, str]) -> None:
    """Ask for each answer that is not in `answers` yet, and add it."""
    for question in QUESTIONS:
        if question.is_asked and question.field not in answers and applies(question, answers):
            answers[question.field] = _ask(question)


def _ask(question: Question) -> str:
    """Ask until the answer is valid, and return it. The prompt is on stderr, because stdout is for the file."""
    default = f" [{question.default}]" if question.default else ""
    while True:
        click.echo(f"{click.style(question.text, bold=True)}{default}: ", nl=False, err=True)
        line = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape")
        if not line:
            click.echo(err=True)
            raise click.Abort
        answer = line.strip() or question.default or ""
        fault = _fault_of(question, answer)
        if fault is None:
            return answer
        click.echo(click.style(f"  {printable(fault)}", fg="red"), err=True)
