"""A mapping file's text as plain values, each with the line and column where it stands.

Every scalar is read as the string that was written (`no` stays `no`, `1e3` stays `1e3`): the schema types it. Only below
a path of `typed` do YAML's own types count, for payloads that stand in for JSON.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

#: Path into a document: keys and list indexes from the root.
DocumentPath = tuple[str | int, ...]

#: More values than this come only from aliases that multiply ("billion laughs").
_MOST_VALUES = 20_000
_MOST_DEPTH = 50
#: What `<<` is without quotes. YAML 1.2 has no such thing: editors and the relay would read two different files.
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NO_MERGE = "merge keys (<<) are not supported: write out here the keys that it stands for"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Where something stands in a file; both 1-based."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong at a place in a document; a warning makes the file no worse."""

    position: Position
    message: str
    #: The key that it is about, such as `auth[0].password`, where it is about one.
    key: str | None = None
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Span:
    """Where a key's or a scalar's characters stand in the text: from `start` up to `end`, quotes included."""

    start: int
    end: int
    path: DocumentPath
    value: str
    is_key: bool
    style: str | None


@dataclass(slots=True)
class Document:
    """The values of a file, with the positions of keys and values by path."""

    tree: Any = None
    keys: dict[DocumentPath, Position] = field(default_factory=dict)
    values: dict[DocumentPath, Position] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    text: str = ""
    #: The keys and scalars that were read, for showing their lines.
    spans: list[Span] = field(default_factory=list)
    #: The scalars among them by path.
    scalars: dict[DocumentPath, Span] = field(default_factory=dict)

    def locate(self, path: DocumentPath, *, key: bool = False) -> Position:
        """Return where `path` stands: its value, or its key; of an absent one, its nearest ancestor that stands there."""
        if key and path in self.keys:
            return self.keys[path]
        while path:
            for places in (self.values, self.keys):
                if path in places:
                    return places[path]
            path = path[:-1]
        return self.values.get((), Position(1, 1))

    def locate_within(self, path: DocumentPath, offset: int) -> Position | None:
        """Return where the character at `offset` of the scalar at `path` stands; None where that cannot be told."""
        found = self.scalars.get(path)
        if found is None:
            return None
        written = self.text[found.start : found.end]
        if written == found.value:
            shift = offset
        elif written[1:-1] == found.value:
            shift = offset + 1
        elif found.style == "'" and written[1:-1] == found.value.replace("'", "''"):
            shift = offset + 1 + found.value[:offset].count("'")
        else:
            return None  # folded over lines, or with escapes
        place = self.locate(path)
        return None if "\n" in written else Position(place.line, place.column + shift)


def spell(path: DocumentPath) -> str:
    """Return a path as people write it: `auth[0].password`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def read_document(text: str, *, typed: Collection[DocumentPath] = ()) -> Document:
    """Return the document that `text` (YAML 1.1) holds; what is wrong with it stands in `faults`, all of it at once.

    `typed` holds paths, with `*` for any list index, below which scalars get YAML's own types.
    """
    reader = _Reader(frozenset(typed), text)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
        reader.document.faults.append(Fault(position, _explain(error)))
        return reader.document
    except yaml.reader.ReaderError as error:
        message = (
            f"the character U+{error.character:04X} cannot stand in YAML: delete it"
            if isinstance(error.character, int)
            else "this is not YAML text"
        )
        reader.document.faults.append(Fault(_position_of(text, error.position), message))
        return reader.document
    except yaml.YAMLError as error:
        reader.document.faults.append(Fault(Position(1, 1), f"this is not YAML text: {str(error).splitlines()[0]}"))
        return reader.document
    except (ValueError, OverflowError, RecursionError) as error:  # PyYAML lets these through
        reader.document.faults.append(Fault(Position(1, 1), f"this is no YAML that can be read: {error}"))
        return reader.document
    if node is None:
        reader.document.faults.append(Fault(Position(1, 1), "the file is empty"))
    else:
        tree = reader.read(node, (), is_typed=False)
        # A tree that was not read to its end would be told as one whose keys have no value.
        reader.document.tree = None if reader.gave_up else tree
    return reader.document


def _position_of(text: str, index: int) -> Position:
    before = text[:index]
    return Position(before.count("\n") + 1, index - before.rfind("\n"))


def _explain(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not YAML"
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces: indent with spaces"
    if "could not find expected ':'" in problem:
        return "a key without a colon and a space after it, or a value that needs quotes"
    if "mapping values are not allowed here" in problem:
        return "a colon where no key can stand: check the indentation, or put the value in quotes"
    if "expected a single document" in problem or "but found another document" in problem:
        return "a second document begins here ('---'): one file holds one mapping"
    context = f" {error.context}" if error.context else ""
    return f"{problem}{context}"


class _Reader:
    """Turns YAML nodes into values, keeping positions and faults."""

    def __init__(self, typed: frozenset[DocumentPath], text: str) -> None:
        self.document = Document(text=text)
        self.gave_up = False
        self._typed = typed
        self._count = 0

    def read(self, node: yaml.Node, path: DocumentPath, *, is_typed: bool) -> Any:
        position = Position(node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.values[path] = position
        self._count += 1
        if self.gave_up:
            return None
        if self._count > _MOST_VALUES or len(path) > _MOST_DEPTH:
            self.gave_up = True
            message = "too many values or too deep: aliases (*name) that multiply, or one that holds itself"
            self.document.faults.append(Fault(position, message))
            return None
        is_typed = is_typed or tuple("*" if isinstance(part, int) else part for part in path) in self._typed
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path, is_typed=is_typed)
            case yaml.SequenceNode():
                return [self.read(item, (*path, index), is_typed=is_typed) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                self._note(node, path)
                return _typed_scalar(node) if is_typed else _plain_scalar(node)
            case _:
                raise AssertionError(node)  # PyYAML composes these three

    def _mapping(self, node: yaml.MappingNode, path: DocumentPath, *, is_typed: bool) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = Position(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.faults.append(Fault(position, "a key must be plain text"))
                continue
            key = str(key_node.value)
            self._note(key_node, (*path, key), is_key=True)
            if key_node.tag == _MERGE_TAG:
                self.document.faults.append(Fault(position, _NO_MERGE, spell((*path, key))))
                continue
            if key in members:
                first = self.document.keys[(*path, key)].line
                message = f"the key '{key}' stands twice, first in line {first}"
                self.document.faults.append(Fault(position, message, spell((*path, key))))
                continue
            self.document.keys[(*path, key)] = position
            members[key] = self.read(value_node, (*path, key), is_typed=is_typed)
        return members

    def _note(self, node: yaml.ScalarNode, path: DocumentPath, *, is_key: bool = False) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        span = Span(start, end, path, str(node.value), is_key, node.style)
        self.document.spans.append(span)
        if not is_key:
            self.document.scalars[path] = span


def _plain_scalar(node: yaml.ScalarNode) -> str | None:
    return None if node.style is None and node.value in _NULLS else str(node.value)


def _typed_scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    try:
        match node.tag.rpartition(":")[2]:
            case "int":
                return int(text.replace("_", ""), 10)
            case "float":
                return float(text.replace("_", ""))
            case "bool":
                return text.lower() in {"true", "yes", "on"}
            case "null":
                return None
    except ValueError:
        return text
    return text
