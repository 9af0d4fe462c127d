"""A mapping file's text as plain values, each with the line and column where it stands.

Every scalar is read as the string that was written (`no` stays `no`, `1e3` stays `1e3`): the schema types it. Only below
a path of `typed` do YAML's own types count, for payloads that stand in for JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from relay.mapping_files.alignment import align_offset
from relay.mapping_files.yaml_errors import MOST_DEPTH, TOO_DEEP, explain, place_of

#: Path into a document: keys and list indexes from the root.
DocumentPath = tuple[str | int, ...]

#: More values than this come only from aliases that multiply ("billion laughs").
_MOST_VALUES = 20_000
#: What `<<` is without quotes. YAML 1.2 has no such thing: editors and the relay would read two different files.
_MERGE_TAG = "tag:yaml.org,2002:merge"
_NO_MERGE = "merge keys (<<) are not supported: write out here the keys that it stands for"
#: Lone surrogates are in no UTF-8, NUL in no path, and C0 and C1 controls in no name. A payload may have those.
_NEVER = re.compile(r"[\x00\ud800-\udfff]")
_UNUSABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: What can stand before a scalar: a tag, an anchor.
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
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
        within = align_offset(self.text[found.start : found.end], found.style, found.value, offset)
        return None if within is None else Position(*place_of(self.text, found.start + within))


def spell(path: DocumentPath) -> str:
    """Return a path as people write it: `auth[0].password`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")


def read_document(
    text: str,
    *,
    typed: Collection[DocumentPath] = (),
    may_name: Callable[[DocumentPath], bool] = lambda _path: True,
) -> Document:
    """Return the document that `text` (YAML 1.1) holds; what is wrong with it stands in `faults`, all of it at once.

    `typed` holds paths, with `*` for any list index, below which scalars get YAML's own types. `may_name` tells whether
    a fault may name the key at the end of a path: nothing else of the text is in a message.
    """
    reader = _NodeReader(frozenset(typed), text, may_name)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:  # PyYAML lets the last three through
        complaint = explain(text, error)
        reader.document.faults.append(Fault(Position(complaint.line, complaint.column), complaint.message))
        return reader.document
    if node is None:
        reader.document.faults.append(Fault(Position(1, 1), "the file is empty"))
    else:
        tree = reader.read(node, (), is_typed=False)
        # A tree that was not read to its end would be told as one whose keys have no value.
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
        if self._count > _MOST_VALUES or len(path) > MOST_DEPTH:
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
                self._cleanse(node, position, is_typed=is_typed)
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
            self._cleanse(key_node, position, is_typed=is_typed)
            key = str(key_node.value)
            self._note(key_node, (*path, key), is_key=True)
            if key_node.tag == _MERGE_TAG:
                self.document.faults.append(Fault(position, _NO_MERGE, spell((*path, key))))
                continue
            if key in members:
                first = self.document.keys[(*path, key)].line
                is_named = self._may_name((*path, key))
                which = f"the key '{key}'" if is_named else "a key"
                message = f"{which} stands twice, first in line {first}"
                self.document.faults.append(Fault(position, message, spell((*path, key)) if is_named else None))
                continue
            self.document.keys[(*path, key)] = position
            members[key] = self.read(value_node, (*path, key), is_typed=is_typed)
        return members

    def _excess(self, node: yaml.Node) -> str:
        if id(node) in self._seen:
            return "too many values: aliases (*name) that multiply, or one that holds itself"
        return f"more than {_MOST_VALUES} values" if self._count > _MOST_VALUES else TOO_DEEP

    def _cleanse(self, node: yaml.ScalarNode, position: Position, *, is_typed: bool) -> None:
        """Complain of characters that no text can have, and put others in their places: nobody chokes on them later."""
        found = (_NEVER if is_typed else _UNUSABLE).search(node.value)
        if found:
            message = f"the character U+{ord(found[0]):04X} cannot be used: delete it"
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
