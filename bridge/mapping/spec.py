"""A mapping file as written: its heads, lets, emits and tests, and what it takes over from the file it extends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from bridge.language import syntax
from bridge.language.syntax import Entries, Node, Scalar, fault
from bridge.language.table import digest

HEADS = ("mapping", "about", "from", "to", "extends", "abstract", "when", "let", "emit", "tests")
LANGUAGES = ("hl7v2", "record", "fhir")


@dataclass(frozen=True, slots=True)
class Spec:
    """One mapping file. `language` is what it reads, `events` which messages; `digests` hash the file and what it extends."""

    name: str
    key: Scalar
    file: str
    about: str
    to: str
    language: str
    events: tuple[str, ...]
    extends: Scalar | None
    abstract: bool
    when: Node | None
    lets: Entries
    emits: Entries
    tests: Node | None
    digests: tuple[str, ...]


def read(text: str, file: str) -> Spec | None:
    """The mapping in this text; None when the file is something else (no `mapping:`). Raises MappingError."""
    root = syntax.load(text, file)
    head = root.get("mapping")
    if head is None:
        return None
    for key, _ in root:
        if key.text not in HEADS:
            raise fault(key.place, f"no head `{key.text}`", key.text, HEADS)
    if not isinstance(head, Scalar) or not head.literal.strip():
        raise fault(head.place, "mapping: takes the name of this mapping")
    language, events = _origin(root.get("from"))
    extends = root.get("extends")
    if extends is not None and not isinstance(extends, Scalar):
        raise fault(extends.place, "extends: takes the name of one mapping")
    empty = Entries(head.place)
    return Spec(
        head.literal, head, file, _word(root, "about"), _word(root, "to"), language, events, extends,
        _word(root, "abstract") == "true", root.get("when"),
        syntax.entries(root.get("let") or empty, "let:"), syntax.entries(root.get("emit") or empty, "emit:"),
        root.get("tests"), (digest(text),),
    )


def _word(root: Entries, name: str) -> str:
    node = root.get(name)
    return "" if node is None else syntax.word(node, f"{name}:")


def _origin(node: Node | None) -> tuple[str, tuple[str, ...]]:
    if node is None:
        return "", ()
    words = [word for item in syntax.items(node) for word in syntax.word(item, "from:").split()]
    if not words or words[0] not in LANGUAGES:
        raise fault(node.place, "from: begins with what is read", words[0] if words else "", LANGUAGES)
    return words[0], tuple(word for word in words[1:] if word not in LANGUAGES)


def lineage(spec: Spec, specs: Mapping[str, Spec]) -> list[Spec]:
    """The specs that it stands on, the first one first, itself last; raises MappingError for an unknown parent or a circle."""
    chain, current = [spec], spec
    while current.extends is not None:
        parent = specs.get(current.extends.literal)
        if parent is None:
            raise fault(current.extends.place, f"no mapping `{current.extends.literal}`", current.extends.literal, specs)
        if parent in chain:
            raise fault(current.extends.place, "extends itself: " + " -> ".join(each.name for each in [*chain, parent]))
        chain.append(parent)
        current = parent
    return chain[::-1]


def extend(spec: Spec, specs: Mapping[str, Spec]) -> Spec:
    """The spec with everything it takes over; raises MappingError for an unknown parent or a circle."""
    merged, *children = lineage(spec, specs)
    for child in children:
        merged = over(merged, child)
    return merged


def over(parent: Spec, child: Spec) -> Spec:
    """A child with what it takes over from its parent; raises MappingError for an emit that is another resource there."""
    for key, node in child.emits:
        under = parent.emits.values.get(key.text)
        now, before = (each.get("resource") if isinstance(each, Entries) else None for each in (node, under))
        if isinstance(now, Scalar) and isinstance(before, Scalar) and now.text != before.text:
            raise fault(key.place, f"`{key.text}` is the {before.text} of {before.place} already; this is a {now.text}",
                        hint="choose another name; what extends a mapping changes the emit of the same name")
    return replace(
        child, about=child.about or parent.about, to=child.to or parent.to, language=child.language or parent.language,
        events=child.events or parent.events, when=child.when or parent.when,
        lets=merge(parent.lets, child.lets), emits=merge(parent.emits, child.emits), digests=(*parent.digests, *child.digests))


def merge(below: Entries, above: Entries) -> Entries:
    """Both, `above` winning: mappings merge, anything else replaces, null removes; the order is `below`'s, then new ones."""
    made = Entries(above.place, dict(below.keys), dict(below.values))
    for key, node in above:
        if isinstance(node, Scalar) and node.null:
            made.keys.pop(key.text, None)
            made.values.pop(key.text, None)
            continue
        under = made.values.get(key.text)
        made.put(key, merge(under, node) if isinstance(under, Entries) and isinstance(node, Entries) else node)
    return made


def version(digests: Iterable[str]) -> str:
    """12 hex digits over the contents that make a mapping what it is."""
    return digest("\n".join(digests))[:12]
