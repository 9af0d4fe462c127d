"""Secrets in files: read again after a change, read without blocking, and reported if they cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.core.redact import Redactor
from relay.core.references import Env, File
from relay.errors import SecretMissingError
from relay.secrets import SecretReader


class StoppedClock:
    """A clock that only moves when a test sets it (seconds)."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def reader(clock: StoppedClock) -> SecretReader:
    return SecretReader({"SET": "of the environment"}, Redactor(), monotonic=clock)


def test_a_variable_and_a_file_without_its_line_end_are_read(reader: SecretReader, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the file\r\n")

    assert reader.read(Env("SET")) == "of the environment"
    assert reader.read(File(str(tmp_path / "secret"))) == "of the file"


def test_a_changed_file_is_read_at_once(reader: SecretReader, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    reader.read(File(str(secret)))

    secret.write_text("another")

    assert reader.read(File(str(secret))) == "another"


def test_a_change_with_the_same_size_and_time_is_read_after_2_seconds(
    reader: SecretReader, clock: StoppedClock, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one")
    reader.read(File(str(secret)))
    status = secret.stat()
    secret.write_text("two")
    os.utime(secret, ns=(status.st_atime_ns, status.st_mtime_ns))

    clock.now = 2.0

    assert reader.read(File(str(secret))) == "two"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "cannot be read: No such file or directory"),
        ("folder", "cannot be read: it is a folder"),
        ("pipe", "cannot be read: it is not a regular file"),
        ("long", "cannot be read: it is larger than 64 KiB"),
        ("a\0b", "cannot be read: invalid file name"),
        ("empty", "is empty"),
        ("bytes", "is not UTF-8 text"),
    ],
)
def test_an_unreadable_secret_is_reported_without_blocking(
    reader: SecretReader, tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_text("x" * 100_000)
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"\xff")

    with pytest.raises(SecretMissingError) as raised:
        reader.read(File(f"{tmp_path}/{name}"))

    assert str(raised.value).endswith(reason)


def test_a_variable_that_is_not_set_is_named(reader: SecretReader) -> None:
    with pytest.raises(SecretMissingError, match="the environment variable UNSET is not set"):
        reader.read(Env("UNSET"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=100)
    | st.sampled_from([b"\xff\xfes\x003", b"\xef\xbb\xbfs3cret", b"s3cret\xed\xa0\x80", b"\r\n" * 9])
)
def test_any_bytes_are_read_unchanged_or_reported_without_them(tmp_path: Path, content: bytes) -> None:
    reader = SecretReader({}, Redactor())
    path = tmp_path / "a-file"
    path.write_bytes(content)

    try:
        found = reader.read(File(str(path)))
    except SecretMissingError as error:
        assert str(error).startswith(f"the secret file {path} is ")  # noqa: PT017 - the bytes decide whether it is raised
    else:
        assert found
        assert content.startswith(found.encode())
        assert not content[len(found.encode()) :].strip(b"\r\n")


@given(st.text(st.characters(categories=["L", "Cs", "Cc", "Cf"]), min_size=1))
def test_a_variable_that_is_not_utf_8_is_reported(value: str) -> None:
    reader = SecretReader({"SET": value}, Redactor())

    if any("\ud800" <= character <= "\udfff" for character in value):
        with pytest.raises(SecretMissingError, match=r"^the environment variable SET is not UTF-8 text$"):
            reader.read(Env("SET"))
    else:
        assert reader.read(Env("SET")).encode()
