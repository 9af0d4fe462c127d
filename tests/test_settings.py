"""Settings: all problems are reported together, secrets can be in files, and the environment overrides `.env`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from properties import examples

from relay.core.values import is_text
from relay.errors import ConfigurationError
from relay.settings import Settings, load_settings, read_environment

#: Parts of valid and invalid `.env` files.
SCRAPS = [b"RELAY_CONCURRENCY", b"RELAY_RETENTION=", b"=", b"\n", b"\r", b"'", b'"', b"\\", b"${", b"}", b"$(id)", b"#",
          b"export ", b"\x00", b"\xff", b"\xef\xbb\xbf", "\u202e".encode(), b" ", b"9" * 400 + b"d"]  # fmt: skip


def test_without_settings_the_defaults_apply() -> None:
    settings = load_settings({})

    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.mappings == Path("mappings")
    assert settings.concurrency == 16
    assert settings.max_body == 256 * 1024
    assert settings.retention == 30 * 86400
    assert settings.admin_token is None


def test_every_wrong_setting_is_reported() -> None:
    wrong = {
        "RELAY_REDIS_URL": "memcached://x",
        "RELAY_CONCURRENCY": "0",
        "RELAY_MAX_BODY": "big",
        "RELAY_RETENTION": "30",
        "RELAY_LOG_LEVEL": "loud",
        "RELAY_TRUSTED_PROXIES": "-1",
        "RELAY_BIND": "here",
        "RELAY_ADMIN_TOKEN_FILE": "/nonexistent/token",
    }

    with pytest.raises(ConfigurationError) as caught:
        load_settings(wrong)

    assert sorted(problem.split(": ")[0] for problem in caught.value.problems) == sorted(wrong)


def test_a_token_can_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", "utf-8")

    assert load_settings({"RELAY_ADMIN_TOKEN_FILE": str(tmp_path / "token")}).admin_token == "s3cret"


def test_the_environment_overrides_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("RELAY_CONCURRENCY=3\nRELAY_LOG_FORMAT=text\n", "utf-8")

    monkeypatch.setenv("RELAY_CONCURRENCY", "5")
    settings = load_settings(read_environment(tmp_path))

    assert (settings.concurrency, settings.log_format) == (5, "text")


SECRET = "an-admin-token-that-is-never-printed"
NAMES = st.sampled_from([setting.metadata["name"] for setting in fields(Settings)])
VALUES = st.one_of(
    st.text(st.characters(), max_size=30),
    st.integers(-1, 10**12).map(str),
    st.sampled_from(
        ["9" * 5_000, "9" * 30 + "d", "36526d", "1e9s", "99999999999999999999GiB", "٣", "-0", "0x10",
         "127.0.0.1:99999", "[::1]:0", ":8000", "unix:", "unix:/run/\x00", "a\udcf6b",
         "redis://", "redis+sentinel://:", "ALLOW", "json\n", "debug", "~/x"]
    ),
)  # fmt: skip


@settings(max_examples=examples(300))
@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_any_environment_is_valid_settings_or_a_list_of_problems(environ: dict[str, str]) -> None:
    environ["RELAY_AUDIT_KEY"] = SECRET

    problems = problems_of(environ)

    assert {problem.partition(": ")[0] for problem in problems} <= set(environ)
    longest = 200 + max(map(len, environ.values()))
    assert all(len(problem) < longest and SECRET not in problem for problem in problems)
    if not problems:
        loaded = load_settings(environ)
        durations = (loaded.retention, loaded.shutdown_grace, loaded.token_lifetime)
        assert all(0 < duration <= 36_525 * 86_400 for duration in durations)
        assert max(loaded.max_body, loaded.journal_max) <= 2**60
        assert all(is_text(value) for value in (loaded.bind, loaded.admin_token or "", str(loaded.mappings)))


@pytest.mark.parametrize("path", ["a\0b", "\udcff", "/", "/dev/null/x"])
def test_an_impossible_path_of_a_secret_is_a_wrong_setting(path: str) -> None:
    (problem,) = problems_of({"RELAY_ADMIN_TOKEN_FILE": path})

    assert problem.startswith("RELAY_ADMIN_TOKEN_FILE: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=80) | st.lists(st.sampled_from(SCRAPS), max_size=12).map(b"".join))
def test_any_env_file_is_read_or_reported_as_not_utf_8(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".env").write_bytes(content)

    try:
        environ = read_environment(tmp_path)
    except ConfigurationError as error:
        problems = error.problems
    else:
        problems = ()
        problems_of({name: value for name, value in environ.items() if name.startswith("RELAY_")})

    assert problems == (() if is_utf_8(content) else (f"{tmp_path}/.env is not UTF-8 text",))


def is_utf_8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def problems_of(environ: dict[str, str]) -> tuple[str, ...]:
    try:
        load_settings(environ)
    except ConfigurationError as error:
        return error.problems
    return ()
