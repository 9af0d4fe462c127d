"""One function handles unexpected exceptions of background work. Other handlers name what they expect."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from harness import ROOT

BROAD = {"Exception", "BaseException"}


def broad_handlers(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    """Yield the handlers that catch any exception and do not raise it again."""
    handlers = (node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler))
    for handler in handlers:
        is_broad = handler.type is None or ast.unparse(handler.type) in BROAD
        if is_broad and not isinstance(handler.body[-1], ast.Raise):
            yield handler


def files_with_broad_handlers(folder: Path) -> list[str]:
    paths = sorted(folder.rglob("*.py"))
    found = [path for path in paths for _ in broad_handlers(ast.parse(path.read_text("utf-8")))]
    return [str(path.relative_to(ROOT)) for path in found]


def test_only_one_function_catches_any_exception() -> None:
    assert files_with_broad_handlers(ROOT / "relay") == ["relay/clock.py"]


def test_a_broad_handler_is_found_and_one_that_raises_again_is_not() -> None:
    code = "try:\n    work()\nexcept {}:\n    close()\n    {}\n"

    found = {
        (kind, end): len(list(broad_handlers(ast.parse(code.format(kind, end)))))
        for kind in ("Exception", "BaseException", "OSError")
        for end in ("log()", "raise")
    }

    assert [case for case, count in found.items() if count] == [("Exception", "log()"), ("BaseException", "log()")]
