"""`relay mappings new` with options. It never replaces an existing file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli.new_mapping_options import SECRETS, VIRIMA, environ_of, names_in, options
from commands import Result, run_relay
from harness import mapping, write_mapping

from relay.errors import DraftError
from relay.mapping_files.draft import Draft
from relay.mapping_files.folder import mapping_paths, read_mapping
from relay.mapping_files.writer import compose, write_new

Run = Callable[..., Result]


@pytest.fixture
def run(folder: Path) -> Run:
    def run(*arguments: str, **environ: str) -> Result:
        return run_relay("mappings", *arguments, environ=environ_of(**environ), folder=folder)

    return run


@pytest.fixture
def run_after(folder: Path) -> Run:
    """A function that runs `relay mappings` in a process of its own, after some code."""

    def run(code: str, *arguments: str, **environ: str) -> Result:
        return subprocess.run(
            [sys.executable, "-c", f"{code}\nfrom relay.cli.main import main; main()", "mappings", *arguments],
            cwd=folder,
            env=environ_of(**environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


def test_options_create_a_file_that_lacks_only_the_listed_secrets(run: Run, folder: Path) -> None:
    result = run("new", "acme-prod", *options(), *VIRIMA)

    assert result.returncode == 0, result.stderr
    assert names_in(folder) == ["acme-prod.yaml"]
    assert read_mapping(folder / "mappings" / "acme-prod.yaml").faults == ()
    lines = result.stdout.splitlines()
    assert lines[0] == "mappings/acme-prod.yaml: written (servicenow → IEM ACME/42, 3 tests passed)"
    assert lines[2:7] == [
        "Still missing:",
        "  ACME_PROD_WEBHOOK_PASSWORD  for web: `auth[0].password`",
        "  ACME_PROD_IEM_PASSWORD      for the workers: `iem.password`",
        "  ACME_PROD_VIRIMA_PASSWORD   for the workers: `virima.password`",
        "Processes read their environment when they start: restart them after you set the variables.",
    ]
    for step in (
        "relay mappings check --for web mappings/acme-prod.yaml",
        "relay try acme-prod PAYLOAD.json",
        "relay servicenow acme-prod",
        "relay doctor",
    ):
        assert f"\n  {step}  " in result.stdout


@pytest.mark.parametrize("source", ["servicenow", "service-exchange"])
@pytest.mark.parametrize("auth", ["basic", "hmac", "header"])
def test_a_check_requires_exactly_the_listed_secrets(run: Run, source: str, auth: str) -> None:
    created = json.loads(run("new", "acme-prod", *options(source=source, auth=auth), *VIRIMA, "--json").stdout)

    missing = json.loads(run("check", "--json").stdout)[0]["faults"]
    clean = run("check", **{secret["env"]: "s3cret" for secret in created["secrets"]})

    assert [secret["key"] for secret in created["secrets"]] == [fault["key"] for fault in missing]
    assert all(
        f"the environment variable {secret['env']} is not set" in fault["message"]
        for secret, fault in zip(created["secrets"], missing, strict=True)
    )
    assert created["faults"] == missing
    assert clean.returncode == 0
    assert "warning" not in clean.stdout
    assert "3 tests passed" in clean.stdout


def test_the_json_output_has_path_secrets_and_faults(run: Run) -> None:
    result = run("new", "acme-prod", *options(), "--json", ACME_PROD_IEM_PASSWORD="a secret")

    created: dict[str, Any] = json.loads(result.stdout)
    assert created["file"] == "mappings/acme-prod.yaml"
    assert created["integration"] == "acme-prod"
    assert created["secrets"] == [
        {"key": "auth[0].password", "env": "ACME_PROD_WEBHOOK_PASSWORD", "process": "web", "is_there": False},
        {"key": "iem.password", "env": "ACME_PROD_IEM_PASSWORD", "process": "worker", "is_there": True},
    ]
    assert [fault["key"] for fault in created["faults"]] == ["auth[0].password"]


def test_secrets_can_be_in_files(run: Run, folder: Path) -> None:
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "acme-prod-webhook-password").write_text("one", "utf-8")

    result = run("new", "acme-prod", *options(), "--secrets-from", f"{secrets}/")
    (secrets / "acme-prod-iem-password").write_text("two", "utf-8")

    assert f"  {secrets}/acme-prod-iem-password  for the workers: `iem.password`" in result.stdout
    assert "webhook-password" not in result.stdout
    assert "restart" not in result.stdout
    assert run("check").returncode == 0


def test_all_wrong_and_missing_answers_are_reported_together(run: Run, folder: Path) -> None:
    result = run(
        "new",
        "Acme",
        *options(source="servicenw", iem_url="http://iem.example.com", customer_id=None, integration_id=""),
        *("--auth", "magic", "--virima-url", "https://virima.example.com", "--output", "acme.json"),
    )

    assert result.returncode == 2
    assert [line.partition(": ")[0] for line in result.stderr.splitlines()] == [
        "NAME",
        "--source",
        "--auth",
        "--iem-url",
        "--customer-id",
        "--integration-id",
        "--virima-username",
        "--output",
        "nothing was written; `relay mappings new --help` shows all options",
    ]
    assert "did you mean 'servicenow'?" in result.stderr
    assert "http would send credentials unencrypted" in result.stderr
    assert "--customer-id: missing. Customer id in IEM, such as ACME" in result.stderr
    assert result.stdout == ""
    assert names_in(folder) == []


def test_without_a_terminal_no_question_is_asked(run: Run) -> None:
    result = run("new")

    assert result.returncode == 2
    assert result.stderr.splitlines()[0].startswith("NAME: missing. ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--virima-username", "a"), "--virima-username: has no effect without --virima-url"),
        (("--customer-id", "AC\u200bME"), "--customer-id: contains an invisible character (U+200B)"),
        (("--customer-id", "A\nB"), "--customer-id: contains an invisible character (U+000A)"),
        (("--description", "\x1b[31m"), "--description: contains an invisible character (U+001B)"),
        (("--customer-id", os.fsdecode(b"\xe9")), "--customer-id: contains an invisible character (U+DCE9)"),
        (("--output", "-", "--json"), "--json: cannot be combined with `--output -`"),
        (("--output", ""), "--output: expected a path, or - for standard output"),
        (("--output", "mappings/other.yaml"), "use acme-prod.yaml, or _acme-prod.yaml for a draft"),
    ],
)
def test_a_senseless_option_is_reported(run: Run, folder: Path, arguments: tuple[str, ...], complaint: str) -> None:
    result = run("new", "acme-prod", *options(), *arguments)

    assert result.returncode == 2
    assert complaint in result.stderr
    assert names_in(folder) == []


@pytest.mark.parametrize("existing", ["acme-prod.yaml", "acme-prod.yml"])
def test_an_existing_file_is_not_replaced(run: Run, folder: Path, existing: str) -> None:
    (folder / "mappings" / existing).write_text("mine", "utf-8")

    result = run("new", "acme-prod", *options())

    assert result.returncode == 1
    assert result.stderr.startswith(f"mappings/{existing} already exists, and was not changed: ")
    assert names_in(folder) == [existing]
    assert (folder / "mappings" / existing).read_text("utf-8") == "mine"


def test_a_dangling_link_is_not_written_through(run: Run, folder: Path) -> None:
    (folder / "mappings" / "acme-prod.yaml").symlink_to(folder / "elsewhere")

    result = run("new", "acme-prod", *options())

    assert result.returncode == 1
    assert not (folder / "elsewhere").exists()


def test_only_one_of_several_concurrent_writers_succeeds(folder: Path) -> None:
    path = folder / "mappings" / "acme.yaml"
    barrier, outcomes = threading.Barrier(8), []

    def write(number: int) -> None:
        draft = Draft("acme", "servicenow", str(number), "42", "https://iem.example.com", "a")
        text = compose(draft, path).text
        barrier.wait()
        with suppress(DraftError):
            write_new(path, text)
            outcomes.append(text)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == [path.read_text("utf-8")]
    assert names_in(folder) == ["acme.yaml"]


def test_a_kill_before_the_end_leaves_no_mapping_file(run: Run, run_after: Run, folder: Path) -> None:
    kill = "import os, signal\nos.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"

    killed = run_after(kill, "new", "acme-prod", *options())
    left_behind = names_in(folder)

    again = run("new", "acme-prod", *options())

    assert killed.returncode == -signal.SIGKILL
    assert [name for name in left_behind if not name.startswith(".")] == []
    assert again.returncode == 0
    assert [path.name for path in mapping_paths(folder / "mappings")] == ["acme-prod.yaml"]


def test_a_full_disk_is_reported_and_leaves_no_file(run_after: Run, folder: Path) -> None:
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))"

    result = run_after(full, "new", "acme-prod", *options(), PYTHONDONTWRITEBYTECODE="1")

    assert result.returncode == 1
    assert "cannot write mappings/acme-prod.yaml: File too large" in result.stderr
    assert names_in(folder) == []


def test_a_file_system_without_hard_links_is_reported_with_advice(run_after: Run, folder: Path) -> None:
    without = "import os\ndef link(*_): raise PermissionError(1, 'Operation not permitted')\nos.link = link"

    result = run_after(without, "new", "acme-prod", *options())

    assert result.returncode == 1
    assert result.stderr == (
        "cannot write mappings/acme-prod.yaml: Operation not permitted. Use --output - to print it instead\n"
    )
    assert names_in(folder) == []


def test_a_read_only_folder_is_reported(run_after: Run, folder: Path) -> None:
    folder.chmod(0o755)
    (folder / "mappings").chmod(0o555)
    as_other_user = "import os, relay.cli.mappings\nif os.geteuid() == 0: os.setuid(65534)"  # root can write everywhere

    result = run_after(as_other_user, "new", "acme-prod", *options())

    assert result.returncode == 1
    assert result.stderr == "this user cannot write to the folder mappings\n"
    assert names_in(folder) == []


def test_a_missing_folder_is_reported_and_not_created(run: Run, folder: Path) -> None:
    result = run("new", "acme-prod", *options(), RELAY_MAPPINGS="no such/folder")

    assert result.returncode == 1
    assert result.stderr == (
        "the folder no such/folder does not exist: create it (mkdir -p 'no such/folder'), or use another folder\n"
    )
    assert not (folder / "no such").exists()


def test_the_file_can_be_printed_and_missing_secrets_go_to_stderr(run: Run, folder: Path) -> None:
    result = run("new", "acme-prod", *options(), "--output", "-", RELAY_MAPPINGS="nowhere")
    (folder / "mappings" / "acme-prod.yaml").write_text(result.stdout, "utf-8")

    assert result.returncode == 0
    assert "ACME_PROD_IEM_PASSWORD  " in result.stderr
    assert run("check", **SECRETS).returncode == 0


def test_a_draft_is_tried_by_its_path(run: Run, folder: Path) -> None:
    result = run("new", "acme-prod", *options(), "--output", "mappings/_acme-prod.yaml")

    assert result.returncode == 0
    assert names_in(folder) == ["_acme-prod.yaml"]
    assert "relay try mappings/_acme-prod.yaml PAYLOAD.json" in result.stdout
    assert "relay servicenow" not in result.stdout


def test_the_file_refers_to_the_schema_in_its_folder(run: Run, folder: Path) -> None:
    without = run("new", "acme-prod", *options())
    (folder / "mappings" / "schema.json").write_text(run("schema").stdout, "utf-8")
    with_schema = run("new", "acme-test", *options())

    first_lines = [
        (folder / "mappings" / f"acme-{name}.yaml").read_text("utf-8").splitlines()[0] for name in ("prod", "test")
    ]
    assert first_lines[0].startswith("# acme-prod: ")
    assert first_lines[1] == "# yaml-language-server: $schema=schema.json"
    assert "relay mappings schema > mappings/schema.json" in without.stdout
    assert "relay mappings schema" not in with_schema.stdout


def test_a_second_file_for_the_same_integration_is_a_warning(run: Run, folder: Path) -> None:
    write_mapping(folder / "mappings", "acme", mapping("https://iem.example.com"))

    result = run("new", "acme-prod", *options())

    assert result.returncode == 0
    assert "warning: integration_id: mappings/acme.yaml also pushes tickets from servicenow to ACME/42" in result.stdout


def test_for_service_exchange_the_next_step_is_the_mapping_sheet(run: Run) -> None:
    result = run("new", "acme-prod", *options(source="service-exchange"))

    assert "Compare everything marked CHANGE with your field mapping sheet" in result.stdout
    assert "relay servicenow" not in result.stdout
