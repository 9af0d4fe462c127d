"""Settings: all problems at once, files for secrets, a `.env` below the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay.errors import ConfigurationError
from relay.settings import load_settings, read_environment


def test_without_any_setting_the_defaults_hold() -> None:
    settings = load_settings({})

    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.mappings == Path("mappings")
    assert settings.concurrency == 16
    assert settings.max_body == 256 * 1024
    assert settings.retention == 30 * 86400
    assert settings.admin_token is None


def test_every_wrong_setting_is_told_in_a_sentence() -> None:
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


def test_a_token_can_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", "utf-8")

    assert load_settings({"RELAY_ADMIN_TOKEN_FILE": str(tmp_path / "token")}).admin_token == "s3cret"


def test_the_environment_outranks_the_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("RELAY_CONCURRENCY=3\nRELAY_LOG_FORMAT=text\n", "utf-8")

    monkeypatch.setenv("RELAY_CONCURRENCY", "5")
    settings = load_settings(read_environment(tmp_path))

    assert (settings.concurrency, settings.log_format) == (5, "text")
