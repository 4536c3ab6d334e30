"""Identifiers sort by the time they were made; equal documents have equal digests."""

import hashlib
import os
import threading
import time
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import canonical, derived_id, digest, made_ms, new_id

documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_an_id_is_a_uuid_of_version_7_made_now() -> None:
    before_ms = time.time_ns() // 1_000_000
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before_ms <= made.int >> 80 <= time.time_ns() // 1_000_000


def test_ids_are_distinct_and_sort_by_their_millisecond() -> None:
    made = [new_id() for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert [text[:13] for text in made] == sorted(text[:13] for text in made)


@given(st.dictionaries(st.text(), documents))
def test_the_order_of_members_does_not_matter(document: dict[str, object]) -> None:
    assert digest(document) == digest(dict(reversed(document.items())))


@given(documents, documents)
def test_different_documents_differ(one: object, other: object) -> None:
    assert (canonical(one) == canonical(other)) == (repr_typed(one) == repr_typed(other))


def repr_typed(document: object) -> object:
    """Equality that tells true from 1."""
    if isinstance(document, dict):
        return {name: repr_typed(member) for name, member in document.items()}
    if isinstance(document, list):
        return [repr_typed(member) for member in document]
    return type(document), document


def test_the_digest_is_sha256_over_sorted_members_without_spaces() -> None:
    document = {"b": [1, Decimal("1.50")], "a": "é"}
    assert canonical(document) == '{"a":"é","b":[1,1.50]}'.encode()
    assert digest(document) == hashlib.sha256(canonical(document)).hexdigest()


def test_exact_decimals_are_told_apart() -> None:
    assert digest([Decimal("1.10")]) != digest([Decimal("1.1")])


def test_what_has_no_json_form_is_an_error() -> None:
    with pytest.raises(TypeError):
        canonical({"x": object()})


def test_threads_never_get_the_same_id() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def make(ids: list[str]) -> None:
        ids.extend(new_id() for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(ids,)) for ids in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({each for ids in made for each in ids}) == 20_000


def test_a_forked_process_makes_ids_of_its_own() -> None:
    new_id()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, "".join(new_id() for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 20 * 36).decode()
    os.close(read)
    os.close(write)
    assert len(theirs) == 20 * 36
    assert not {new_id()[-17:] for _ in range(300)} & {
        theirs[at : at + 36][-17:] for at in range(0, len(theirs), 36)
    }


def test_a_uuid_of_version_7_tells_when_it_was_made() -> None:
    before_ms = time.time_ns() // 1_000_000
    assert before_ms <= made_ms(new_id()) <= time.time_ns() // 1_000_000
    assert made_ms("no UUID at all") == 0


def test_a_derived_id_is_that_of_its_parts() -> None:
    assert uuid.UUID(derived_id("a", "b"))
    assert derived_id("a", "b") == derived_id("a", "b")
    assert len({derived_id("a", "b"), derived_id("a", "c"), derived_id("ab")}) == 3
