"""Explains why a path is not a JMESPath expression, or can never find anything. The messages do not quote the path."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from jmespath.exceptions import EmptyExpressionError, JMESPathError, LexerError, ParseError
from jmespath.functions import Functions
from jmespath.lexer import Lexer

_INVALID = "not a JMESPath expression: "
_OPENING = frozenset({"lparen", "lbracket", "lbrace", "filter"})
_CLOSING = frozenset({"rparen", "rbracket", "rbrace"})
_HINTS = {
    "-": "a name that contains - must be in double quotes, such as '\"new-values\".state'",
    "$": "a path starts with the name of a field, without $ or $.",
    "/": "names are separated by a dot, not by /",
    "=": "a comparison is written with ==",
}


class PathError(ValueError):
    """An invalid expression: the problem, and the index of the character (from 0)."""

    def __init__(self, problem: str, at: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.at = at


def explain_path_error(error: JMESPathError, expression: str) -> PathError:
    """Return the error for `expression`, for which JMESPath raised `error`."""
    match error:
        case EmptyExpressionError():
            return PathError(f"{_INVALID}it is empty")
        case LexerError(lexer_position=at):
            return PathError(f"{_INVALID}{_explain_sign(str(error.message), expression[at : at + 1])}", at)
        case ParseError():
            return PathError(f"{_INVALID}{_explain_token(error)}", min(error.lex_position or 0, len(expression)))
        case _:
            return PathError(f"{_INVALID}the reason is unknown")


def _explain_sign(message: str, sign: str) -> str:
    if message.startswith("Unclosed"):
        return "this quote is not closed"
    if sign in _HINTS:
        return _HINTS[sign]
    if sign.isalpha():
        return "a name with letters other than a to z must be in double quotes, such as '\"zustände\".state'"
    return "the text in these quotes must be JSON" if sign in {"`", '"'} else f"unexpected '{sign}'"


def _explain_token(error: ParseError) -> str:
    value = error.token_value
    if not value:
        return "it ends too early"
    if re.fullmatch(r"\W{1,3}", str(value)):
        return f"unexpected '{value}'"
    return "unexpected name or value: is a dot or an operator missing before it?"


def check_calls(expression: str) -> None:
    """Raise PathError for an unknown function, or a wrong number of arguments."""
    for name, at, count in _calls(expression):
        if name not in Functions.FUNCTION_TABLE:
            near = difflib.get_close_matches(name, Functions.FUNCTION_TABLE, n=1)
            hint = (
                f"; did you mean {near[0]}()?"
                if near
                else f"; known functions: {', '.join(sorted(Functions.FUNCTION_TABLE))}"
            )
            raise PathError(f"unknown JMESPath function{hint}", at)
        signature: Sequence[Any] = Functions.FUNCTION_TABLE[name]["signature"]
        is_open = bool(signature) and bool(signature[-1].get("variadic"))
        if count < len(signature) or (count > len(signature) and not is_open):
            wanted = f"{len(signature)}{' or more' if is_open else ''}"
            plural = "" if wanted == "1" else "s"
            raise PathError(f"JMESPath's {name}() takes {wanted} argument{plural}, not {count}", at)


def _calls(expression: str) -> Iterator[tuple[str, int, int]]:
    """Yield the name, the position and the number of arguments of each call in a valid expression."""
    tokens = list(Lexer().tokenize(expression))
    for number, (token, following) in enumerate(pairwise(tokens)):
        if token["type"] == "unquoted_identifier" and following["type"] == "lparen":
            yield str(token["value"]), int(token["start"]), _count_arguments(tokens[number + 2 :])


def _count_arguments(tokens: Sequence[Any]) -> int:
    depth = commas = 0
    for token in tokens:
        if token["type"] in _CLOSING:
            if depth == 0:
                break
            depth -= 1
        elif token["type"] in _OPENING:
            depth += 1
        elif token["type"] == "comma" and depth == 0:
            commas += 1
    return 0 if tokens[0]["type"] == "rparen" else commas + 1
