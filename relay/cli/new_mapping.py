"""`relay mappings new`: asks for what a new mapping file needs, writes it, and tells what is still missing."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from relay.cli.findings import findings_as_json, print_findings
from relay.cli.terminal import json_option, print_json, shown
from relay.core.draft import QUESTIONS, Draft, Question, applies
from relay.core.integration import Env, Secret
from relay.core.redact import Redactor
from relay.drafting import SCHEMA_NAME, check_place, compose, write_new
from relay.errors import ConfigurationError
from relay.inspection import Need, inspect, needs_of
from relay.mappings import MappingFile, name_of, read_mapping, read_mappings
from relay.secret_reader import SecretReader
from relay.settings import load_settings, read_environment

_EX_USAGE = 2
_PROCESSES = {"web": "web", "worker": "the workers"}


def _answer_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` an option for each question but the name."""
    for question in reversed(QUESTIONS[1:]):
        usual = f"  [{question.usual}]" if question.usual else ""
        command = click.option(question.option, help=f"{question.asks}.{usual}")(command)
    return command


@click.command
@click.argument("name", required=False)
@_answer_options
@click.option("--output", help="Where to write it instead of RELAY_MAPPINGS/NAME.yaml; - prints it.")
@json_option
def new(name: str | None, *, output: str | None, as_json: bool, **given: str | None) -> None:
    """Write the mapping file of a new integration, NAME.yaml in RELAY_MAPPINGS, and tell what is still missing.

    On a terminal it asks for what no option tells. No secret is asked for: the file names where each one will stand.
    A file that is there is never replaced. Exit status 1 where nothing could be written, 2 where answers are wrong or missing.
    """
    answers = {key: answer for key, answer in {"name": name, **given}.items() if answer is not None}
    can_ask = _is_terminal(sys.stdin) and _is_terminal(sys.stderr)
    faults = [*_faults_of(answers, is_complete=not can_ask), *_output_faults(output, answers, as_json=as_json)]
    if faults:
        _refuse(faults)
    path = _choose_place(output, answers)
    if can_ask:
        _ask_for_the_rest(answers)
    file = compose(Draft(**answers), path)
    if output == "-":
        click.echo(file.text, nl=False)
    else:
        write_new(path, file.text)
        file = read_mapping(path)
        if file.integration is None:  # somebody else was at it meanwhile
            raise ConfigurationError(file.complaints())
    _report(file, is_written=output != "-", as_json=as_json)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _refuse(faults: list[str]) -> NoReturn:
    for fault in faults:
        click.echo(shown(fault), err=True)
    click.echo("nothing was written; `relay mappings new --help` tells all options", err=True)
    sys.exit(_EX_USAGE)


def _faults_of(answers: Mapping[str, str], *, is_complete: bool) -> Iterator[str]:
    """Yield what is wrong with the answers that were given, and, where they should be complete, what is missing."""
    for question in QUESTIONS:
        spelling = "NAME" if question.field == "name" else question.option
        answer = answers.get(question.field)
        if answer is None:
            if is_complete and question.usual is None and applies(question, answers):
                yield f"{spelling}: missing. {question.asks}"
        elif not applies(question, answers) and (is_complete or "virima_url" in answers):
            yield f"{spelling}: has no effect without --virima-url"
        elif fault := _fault_of(question, answer):
            yield f"{spelling}: {fault}"


def _fault_of(question: Question, answer: str) -> str | None:
    """Return what is wrong with an answer; a character that nobody sees was not meant, but pasted or hit."""
    unseen = next((one for one in answer if one == "\n" or shown(one) != one), None)
    if unseen is not None:
        return f"holds a character that cannot be seen (U+{ord(unseen):04X}): type it without"
    return question.check(answer)


def _output_faults(output: str | None, answers: Mapping[str, str], *, as_json: bool) -> Iterator[str]:
    if output == "-" and as_json:
        yield "--json: tells of a file that was written, and `--output -` writes none"
    elif output == "":
        yield "--output: expected a path, or - for standard output"
    elif output not in {None, "-"} and (name := answers.get("name")):
        path = Path(output or "")
        if path.suffix != ".yaml" or name_of(path) != name:
            yield f"--output: a file has the name of its integration: call it {name}.yaml, or _{name}.yaml as a draft"


def _choose_place(output: str | None, answers: dict[str, str]) -> Path:
    """Return where the file goes, or would go. It is settled before other questions: nobody shall answer them in vain."""
    if "name" not in answers:
        answers["name"] = _ask(QUESTIONS[0])
        if faults := list(_output_faults(output, answers, as_json=False)):
            _refuse(faults)
    usual = _folder() / f"{answers['name']}.yaml"
    if output == "-":
        return usual
    path = Path(output) if output else usual
    check_place(path)
    return path


def _folder() -> Path:
    return load_settings(read_environment()).mappings


def _ask_for_the_rest(answers: dict[str, str]) -> None:
    """Add to `answers` what is asked for and not there yet."""
    for question in QUESTIONS:
        if question.is_asked and question.field not in answers and applies(question, answers):
            answers[question.field] = _ask(question)


def _ask(question: Question) -> str:
    """Return an answer that is good, however often it takes. The prompt is on stderr: stdout is for the file."""
    usual = f" [{question.usual}]" if question.usual else ""
    while True:
        click.echo(f"{click.style(question.asks, bold=True)}{usual}: ", nl=False, err=True)
        line = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape")
        if not line:
            click.echo(err=True)
            raise click.Abort
        answer = line.strip() or question.usual or ""
        fault = _fault_of(question, answer)
        if fault is None:
            return answer
        click.echo(click.style(f"  {shown(fault)}", fg="red"), err=True)


def _report(file: MappingFile, *, is_written: bool, as_json: bool) -> None:
    """Tell what was written, what it still needs, and what to do next; on stderr where stdout has the file itself."""
    assert file.integration
    reader = SecretReader(read_environment(), Redactor())
    needs = list(needs_of(file.integration, reader))
    is_at_work = file.path.resolve() == (_folder() / f"{file.name}.yaml").resolve()
    others = [one for one in read_mappings(_folder()) if one.name != file.name] if is_written and is_at_work else []
    checked = inspect([file, *others], reader)[0]
    if as_json:
        print_json(_as_json(checked, needs))
        return
    one = file.integration
    verb = click.style("written" if is_written else "good, and not written to any file", fg="green")
    target = shown(f"{one.source} → IEM {one.iem.customer_id}/{one.iem.integration_id}")
    err = not is_written
    click.echo(f"{shown(str(file.path))}: {verb} ({target}, {len(one.tests)} tests passed)", err=err)
    told_below = {need.key for need in needs}
    print_findings(checked, err=err, is_told=lambda fault: fault.key not in told_below)
    for line in (*_missing_lines(needs), *_next_lines(file, is_at_work=is_at_work)):
        click.echo(line, err=err)


def _as_json(checked: MappingFile, needs: Sequence[Need]) -> dict[str, Any]:
    return {
        "file": str(checked.path),
        "integration": checked.name,
        "secrets": [
            {"key": need.key, **_reference(need.secret), "process": need.side, "is_there": need.is_there}
            for need in needs
        ],
        "faults": findings_as_json(checked),
    }


def _reference(secret: Secret) -> dict[str, str]:
    return {"env": secret.name} if isinstance(secret, Env) else {"file": secret.path}


def _missing_lines(needs: Sequence[Need]) -> Iterator[str]:
    missing = [need for need in needs if not need.is_there]
    if not missing:
        return
    yield "\nStill missing:"
    names = [shown("".join(_reference(need.secret).values())) for need in missing]
    width = max(map(len, names))
    for name, need in zip(names, missing, strict=True):
        yield f"  {name.ljust(width)}  for {_PROCESSES[need.side]}: `{need.key}`"
    if any(isinstance(need.secret, Env) for need in missing):
        yield "A process reads its environment at the start: restart it once its variables are set."


def _next_lines(file: MappingFile, *, is_at_work: bool) -> Iterator[str]:
    assert file.integration
    place = shlex.quote(str(file.path))
    subject = file.name if is_at_work else place
    steps = [
        (f"relay mappings check --for web {place}", "where web runs; `--for worker` where workers run"),
        (f"relay try {subject} PAYLOAD.json", "what a webhook would come to"),
    ]
    if file.integration.source == "servicenow":
        steps.append((f"relay servicenow {file.name}", "what to set up in ServiceNow"))
    if file.integration.virima:
        steps.append((f"relay virima whoami {file.name}", "whether Virima lets the relay in"))
    if not (file.path.parent / SCHEMA_NAME).is_file():
        folder = shlex.quote(str(file.path.parent / SCHEMA_NAME))
        steps.append((f"relay mappings schema > {folder}", 'for editors: see "In an editor" in the README'))
    yield "\nNext:"
    if file.integration.source == "service-exchange":
        yield "  Go through what is marked CHANGE with your field mapping sheet: fields and states in the file are not from it."
    width = max(len(command) for command, _ in steps)
    yield from (shown(f"  {command.ljust(width)}  {purpose}") for command, purpose in steps)
