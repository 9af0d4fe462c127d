"""Field paths: JMESPath (jmespath.org), compiled once; plain and dotted names take a shorter way to the same answer."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError, LexerError, ParseError
from jmespath.functions import Functions

_NAMES = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")


_JSON_TYPES = (str, int, float, bool, list, dict, type(None))


class PathError(ValueError):
    """An expression that is none: what is wrong with it, and at which of its characters (from 0)."""

    def __init__(self, problem: str, at: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A compiled expression; `search` returns what it finds in a payload, or None."""

    expression: str
    search: Callable[[Any], Any] = field(compare=False, repr=False)


def compile_path(expression: str) -> FieldPath:
    """Compile `expression`; PathError tells what is wrong with it, and where."""
    if _NAMES.fullmatch(expression):
        return FieldPath(expression, _walker(tuple(expression.split("."))))
    try:
        compiled = jmespath.compile(expression)
        unknown = _functions_of(compiled.parsed) - Functions.FUNCTION_TABLE.keys()
    except (LexerError, ParseError) as error:
        at = getattr(error, "lex_position", None) or getattr(error, "lexer_position", None) or 0
        raise PathError(f"not a JMESPath expression: {_cause(error)}", at) from None
    except JMESPathError as error:
        raise PathError(f"not a JMESPath expression: {error}") from None
    except RecursionError:
        raise PathError("not a JMESPath expression that can be read: it is too deep") from None
    if unknown:
        raise _no_function(min(unknown), expression)

    def search(payload: Any) -> Any:
        try:
            found = compiled.search(payload)
        except (JMESPathError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError):
            return None  # a function that does not suit this payload's types finds nothing in it
        return found if isinstance(found, _JSON_TYPES) else None  # `&a` is an expression, and no value

    return FieldPath(expression, search)


def _no_function(name: str, expression: str) -> PathError:
    near = difflib.get_close_matches(name, Functions.FUNCTION_TABLE, n=1)
    hint = f"; did you mean {near[0]}()?" if near else ""
    place = re.search(rf"\b{re.escape(name)}\(", expression)
    return PathError(f"JMESPath has no function {name}(){hint}", place.start() if place else 0)


def _walker(names: tuple[str, ...]) -> Callable[[Any], Any]:
    def search(payload: Any) -> Any:
        for name in names:
            if not isinstance(payload, dict):
                return None
            payload = payload.get(name)
        return payload

    return search


def _cause(error: LexerError | ParseError) -> str:
    if isinstance(error, LexerError):
        return str(error.message)
    return f"unexpected {error.token_value!r}" if error.token_value else "it ends too early"


def _functions_of(node: Mapping[str, Any]) -> set[str]:
    names = {str(node["value"])} if node["type"] == "function_expression" else set()
    return names.union(*(_functions_of(child) for child in node["children"] if isinstance(child, dict)))
