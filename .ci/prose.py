"""Checks the English of code, tests and documentation against the word list in `prose.toml`.

`python .ci/prose.py [PATH…]` prints each finding as `path:line: "words": write …` and exits with status 1 if there are any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

LIST = Path(__file__).with_suffix(".toml")
#: The list itself, and the test with examples of what is refused.
SKIPPED = frozenset({LIST.name, "test_prose.py"})
ENDINGS = frozenset({".py", ".md", ".lua", ".yaml", ".yml", ".toml", ".html", ".js", ".service", ".lock"})
#: A name with at least one underscore, and a constant.
_NAME = re.compile(r"\b\w*[A-Za-z]_\w+\b|\b_\w+\b")
_CONSTANT = re.compile(r"\b_?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")


@dataclass(frozen=True, slots=True)
class Word:
    """A row of the list: what is refused, and what to write instead."""

    pattern: re.Pattern[str]
    source: str
    instead: str
    #: None: the whole line is read; otherwise the parts of it that this finds.
    part: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class Words:
    """The list."""

    words: tuple[Word, ...]
    #: Pairs of a file's pattern and a word's pattern.
    exceptions: tuple[tuple[str, str], ...]

    def findings(self, path: str, text: str) -> Iterator[str]:
        """Yield a line for each refused word in `text`."""
        words = [word for word in self.words if not self._is_excepted(path, word)]
        for number, line in enumerate(text.splitlines(), 1):
            for word in words:
                parts = word.part.findall(line) if word.part else [line]
                for part in parts:
                    if found := word.pattern.search(part.replace("_", " ")):
                        yield f'{path}:{number}: "{found[0].strip()}": write {word.instead}'
                        break

    def _is_excepted(self, path: str, word: Word) -> bool:
        return any(fnmatch(path, file) and pattern == word.source for file, pattern in self.exceptions)


def read_words(path: Path = LIST) -> Words:
    """Return the list in a file. Raises ValueError where an exception has no reason, or no word that it is for."""
    content = tomllib.loads(path.read_text("utf-8"))
    words = tuple(_word(row) for row in content["word"])
    exceptions = []
    for row in content.get("exception", []):
        if not row.get("reason") or row["pattern"] not in {word.source for word in words}:
            raise ValueError(f"{path.name}: the exception for {row['file']} needs a reason and the pattern of a word")
        exceptions.append((row["file"], row["pattern"]))
    return Words(words, tuple(exceptions))


def _word(row: dict[str, Any]) -> Word:
    part = _CONSTANT if row.get("constants_only") else _NAME if row.get("names_only") else None
    pattern = re.compile(rf"(?<![A-Za-z])(?:{row['pattern']})(?![A-Za-z])", re.IGNORECASE)
    return Word(pattern, row["pattern"], row["instead"], part)


def files(arguments: list[str]) -> Iterator[str]:
    """Yield the text files that git tracks under the paths of `arguments`, or all of them, except `SKIPPED`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *arguments]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    yield from (name for name in listed if Path(name).suffix in ENDINGS and Path(name).name not in SKIPPED)


def main(arguments: list[str]) -> int:
    """Print every finding; return the exit status."""
    words = read_words()
    findings = [finding for name in files(arguments) for finding in words.findings(name, Path(name).read_text("utf-8"))]
    for finding in findings:
        print(finding)
    print(f"{len(findings)} finding{'' if len(findings) == 1 else 's'}", file=sys.stderr)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
