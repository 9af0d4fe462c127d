"""The text of a mapping file as plain values, each with its line and column.

Every scalar is read as the string that was written (`no` stays `no`, `1e3` stays `1e3`), and the schema gives it a type.
YAML's own types are used only below the paths of `typed`: for payloads, which represent JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from relay.mapping_files.positions import Position, align_offset, position_of
from relay.mapping_files.yaml_errors import MAX_DEPTH, TOO_DEEP, explain

#: Path into a document: keys and list indexes from the root.
DocumentPath = tuple[str | int, ...]

#: More values than this come only from aliases that multiply ("billion laughs").
_MAX_VALUES = 20_000
#: The tag of `<<` without quotes. YAML 1.2 has no merge keys: editors and the relay would read different files.
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NO_MERGE = "merge keys (<<) are not supported: write the keys out here"
#: UTF-8 cannot encode lone surrogates, and NUL and control characters cannot be part of a path or name. Payloads can have control
#: characters.
_NEVER = re.compile(r"[\x00\ud800-\udfff]")
_UNUSABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: What can precede a scalar: a tag, an anchor.
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault or warning at a position of a document. Warnings alone do not make a file invalid."""

    position: Position
    message: str
    #: The key with the fault, such as `auth[0].password`; None if the fault is not about one key.
    key: str | None = None
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Span:
    """The characters of a key or scalar in the text: from `start` up to `end`, with quotes."""

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
    #: The keys and scalars of the file, which excerpts show.
    spans: list[Span] = field(default_factory=list)
    #: The scalars in `spans`, by path.
    scalars: dict[DocumentPath, Span] = field(default_factory=dict)

    def locate(self, path: DocumentPath, *, key: bool = False) -> Position:
        """Return the position of the value at `path`, or of its key; if it is missing, of its nearest ancestor in the file."""
        if key and path in self.keys:
            return self.keys[path]
        while path:
            for places in (self.values, self.keys):
                if path in places:
                    return places[path]
            path = path[:-1]
        return self.values.get((), Position(1, 1))

    def locate_within(self, path: DocumentPath, offset: int) -> Position | None:
        """Return the position of the character at `offset` of the scalar at `path`; None if it cannot be determined."""
        found = self.scalars.get(path)
        if found is None:
            return None
        within = align_offset(self.text[found.start : found.end], found.style, found.value, offset)
        return None if within is None else position_of(self.text, found.start + within)


def spell(path: DocumentPath) -> str:
    """Return a path in the usual notation: `auth[0].password`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def read_document(
    text: str,
    *,
    typed: Collection[DocumentPath] = (),
    may_name: Callable[[DocumentPath], bool] = lambda _path: True,
) -> Document:
    """Return the document in `text` (YAML 1.1), with all of its faults in `faults`.

    Below the paths of `typed` (`*` is any list index), scalars get YAML's own types. `may_name` returns whether a fault can
    name the key at the end of a path; messages contain nothing else of the text.
    """
    reader = _NodeReader(frozenset(typed), text, may_name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # PyYAML does not catch the last three
        found = explain(text, error)
        reader.document.faults.append(Fault(found.position, found.message))
        return reader.document
    if node is None:
        reader.document.faults.append(Fault(Position(1, 1), "the file is empty"))
    else:
        tree = reader.read(node, (), is_typed=False)
        # In a tree that was not read to its end, keys would seem to have no value.
        reader.document.tree = None if reader.gave_up else tree
    return reader.document


class _NodeReader:
    """Turns YAML nodes into values, keeping positions and faults."""

    def __init__(self, typed: frozenset[DocumentPath], text: str, may_name: Callable[[DocumentPath], bool]) -> None:
        self.document = Document(text=text)
        self.gave_up = False
        self._typed = typed
        self._may_name = may_name
        self._count = 0
        self._seen: set[int] = set()

    def read(self, node: yaml.Node, path: DocumentPath, *, is_typed: bool) -> Any:
        position = Position(node.start_mark.line + 1, node.start_mark.column + 1)
        self.document.values[path] = position
        self._count += 1
        if self.gave_up:
            return None
        if self._count > _MAX_VALUES or len(path) > MAX_DEPTH:
            self.gave_up = True
            self.document.faults.append(Fault(position, self._excess(node)))
            return None
        self._seen.add(id(node))
        is_typed = is_typed or tuple("*" if isinstance(part, int) else part for part in path) in self._typed
        match node:
            case yaml.MappingNode():
                return self._mapping(node, path, is_typed=is_typed)
            case yaml.SequenceNode():
                return [self.read(item, (*path, index), is_typed=is_typed) for index, item in enumerate(node.value)]
            case yaml.ScalarNode():
                self._sanitise(node, position, is_typed=is_typed)
                self._note(node, path)
                return _typed_scalar(node) if is_typed else _plain_scalar(node)
            case _:
                raise AssertionError(node)  # PyYAML composes these three

    def _mapping(self, node: yaml.MappingNode, path: DocumentPath, *, is_typed: bool) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key_node, value_node in node.value:
            position = Position(key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self.document.faults.append(Fault(position, "a key must be text"))
                continue
            self._sanitise(key_node, position, is_typed=is_typed)
            key = str(key_node.value)
            self._note(key_node, (*path, key), is_key=True)
            if key_node.tag == _MERGE_TAG:
                self.document.faults.append(Fault(position, _NO_MERGE, spell((*path, key))))
                continue
            if key in members:
                first = self.document.keys[(*path, key)].line
                is_named = self._may_name((*path, key))
                which = f"duplicate key '{key}'" if is_named else "duplicate key"
                message = f"{which}: it is already used on line {first}"
                self.document.faults.append(Fault(position, message, spell((*path, key)) if is_named else None))
                continue
            self.document.keys[(*path, key)] = position
            members[key] = self.read(value_node, (*path, key), is_typed=is_typed)
        return members

    def _excess(self, node: yaml.Node) -> str:
        if id(node) in self._seen:
            return "too many values: aliases (*name) multiply, or one contains itself"
        return f"more than {_MAX_VALUES} values" if self._count > _MAX_VALUES else TOO_DEEP

    def _sanitise(self, node: yaml.ScalarNode, position: Position, *, is_typed: bool) -> None:
        """Replace characters that text cannot have, and note a fault for the first of them."""
        found = (_NEVER if is_typed else _UNUSABLE).search(node.value)
        if found:
            message = f"the character U+{ord(found[0]):04X} is not allowed: delete it"
            self.document.faults.append(Fault(position, message))
            node.value = _UNUSABLE.sub("\N{REPLACEMENT CHARACTER}", node.value)

    def _note(self, node: yaml.ScalarNode, path: DocumentPath, *, is_key: bool = False) -> None:
        start, end = node.start_mark.index, node.end_mark.index
        if properties := _PROPERTIES.match(self.document.text, start, end):
            start = properties.end()
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
