"""Random sequences of operations on devpi-server and on ours; see the package `sequences`.

SEQUENCES says how many are played (200), SEQUENCES_SEED with which seed they begin (0). What fails is shown shortened,
in the form in which fixtures/sequences keeps it; `python -m sequences --seed N --count 1 --keep` writes it there.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from judge import differences, servers
from judge.compare import Verdict
from judge.exchange import Answer
from judge.steps import call
from sequences import generate, kept, plugin, report, requests, verdict
from sequences.names import Operation
from sequences.play import Table, table
from sequences.shrink import shortened, shrink

COUNT = int(os.environ.get("SEQUENCES", "200"))
FIRST_SEED = int(os.environ.get("SEQUENCES_SEED", "0"))
BLOCK = 20
SEEDS = range(FIRST_SEED, FIRST_SEED + COUNT)

Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def ready(pytestconfig: pytest.Config) -> Iterator[Table]:
    """The reference and ours, or the reference twice, for all sequences."""
    same = bool(pytestconfig.getoption("--reference"))
    with table((servers.reference(), servers.reference() if same else servers.ours()), same_program=same) as ready:
        yield ready


@pytest.mark.parametrize("name", kept.names())
def test_what_once_failed(name: str, ready: Table, record_property: Note) -> None:
    """Sequences that were wrong once stay right."""
    play({name: kept.load(name)}, ready, record_property)


@pytest.mark.parametrize("first", SEEDS[::BLOCK])
def test_what_is_made_at_random(first: int, ready: Table, record_property: Note) -> None:
    """Both servers answer alike to whatever comes, and show the same afterwards."""
    seeds = SEEDS[SEEDS.index(first) :][:BLOCK]
    play({f"seed {seed}": generate.sequence(seed) for seed in seeds}, ready, record_property)


def play(sequences: dict[str, list[Operation]], ready: Table, record_property: Note) -> None:
    """Play all, and show the first disagreement of each kind as short as it can be."""
    all_played = {name: ready.play(operations) for name, operations in sequences.items()}
    record_property(plugin.PROPERTY, dict(report.counts(all_played.values())))
    wrong = {}
    for name, played in all_played.items():
        if played.disagreement is not None and played.disagreement.signature not in wrong:
            small = shortened(sequences[name], ready)
            wrong[played.disagreement.signature] = f"{name}\n{report.describe(small, ready.play(small))}"
    if wrong:
        pytest.fail("\n".join(wrong.values()), pytrace=False)


# The sequences themselves.


def test_a_seed_gives_one_sequence() -> None:
    """A failure can be had again, and is plain JSON."""
    for seed in range(20):
        sequence = generate.sequence(seed)
        assert sequence == generate.sequence(seed)
        assert sequence == json.loads(kept.text(sequence))
    assert generate.sequence(0) != generate.sequence(1)


def test_all_kinds_of_operations_are_made() -> None:
    """Nothing that can be asked for is left out, and nothing is made that cannot be."""
    made = Counter(operation["do"] for seed in range(200) for operation in generate.sequence(seed))
    assert made.keys() == set(requests.KINDS)
    assert min(made.values()) >= 5, made


def test_most_operations_are_accepted(ready: Table) -> None:
    """Some are refused, but not so many that nothing ever gets far; few sequences are left early."""
    found = report.counts(ready.play(generate.sequence(seed)) for seed in range(20))
    assert 0.1 < found["refused"] / found["operations"] < 0.35, found
    assert found["parted"] <= 4, found


def test_each_part_of_a_sequence_is_a_sequence(ready: Table) -> None:
    """Operations do not rest on what others answered."""
    for seed in range(5):
        sequence = generate.sequence(seed)
        for part in (sequence[::2], sequence[3:], sequence[::-1]):
            assert ready.play(part).disagreement is None


# That the test can fail.


def test_shrinking_leaves_what_is_needed() -> None:
    """All else goes, in order."""
    needed = [{"do": "look", "number": number} for number in (3, 4, 17)]
    sequence = [{"do": "look", "number": number} for number in range(20)]
    assert shrink(sequence, lambda part: all(operation in part for operation in needed)) == needed
    assert shrink(sequence, lambda part: True) == []


FILE = {"project": "alpha", "version": "1.0", "kind": "wheel", "content": 1}
ON_DEV = {"index": "@ada/dev", "as": "@ada"}
RELEASE = {"project": "alpha", "version": "1.0"}
WORK: list[Operation] = [
    {"do": "create_user", "user": "@ada", "body": {"password": None}},
    {"do": "modify_user", "user": "@ada", "body": {"title": "one"}, "as": "@ada"},
    {"do": "create_index", **ON_DEV, "body": {}},
    {"do": "create_index", "index": "@ada/prod", "body": {}, "as": "@ada"},
    {"do": "modify_index", **ON_DEV, "body": ["bases+=@ada/prod"]},
    {"do": "register", **ON_DEV, "project": "alphabet", "version": "0.9", "metadata": {}},
    {"do": "upload", **ON_DEV, "file": FILE, "metadata": {}},
    {"do": "upload_docs", **ON_DEV, "file": FILE | {"kind": "docs"}},
    {"do": "report_test", **ON_DEV, "file": FILE, "run": 1},
    {"do": "push", **ON_DEV, **RELEASE, "to": "@ada/prod", "options": {}},
    {"do": "look"},
    {"do": "delete_file", **ON_DEV, "file": FILE},
    {"do": "delete_version", **ON_DEV, **RELEASE},
    {"do": "delete_project", **ON_DEV, "project": "alphabet"},
]
ALTERATIONS: dict[str, Operation] = {
    "modify_user": {"body": {"title": "another"}},
    "modify_index": {"body": {"bases": []}},
    "register": {"metadata": {"summary": "another"}},
    "upload": {"file": FILE | {"content": 2}},
    "upload_docs": {"file": FILE | {"kind": "docs", "content": 2}},
    "report_test": {"run": 2},
    "push": {"options": {"no_docs": True}},
    "delete_file": {"do": "read_index"},
    "delete_version": {"do": "read_index"},
    "delete_project": {"do": "read_index"},
}


@pytest.mark.parametrize("kind", ALTERATIONS)
def test_what_one_server_does_otherwise_is_found(kind: str, ready: Table) -> None:
    """As if ours did something else at one operation: it is found, in the state if not in the answer."""

    def alter(operation: Operation) -> Operation:
        return operation | ALTERATIONS[kind] if operation["do"] == kind else operation

    assert ready.play(WORK).disagreement is None
    assert ready.play(WORK, alter).disagreement is not None
    small = shortened(WORK, ready, alter)
    assert kind in [operation["do"] for operation in small]
    assert len(small) < len(WORK)


def answer(status: int, body: str) -> Answer:
    """An answer made up for the comparison."""
    return Answer(status, "x", (("content-type", "application/json"), ("x-devpi-serial", "1")), body.encode())


def judged(kind: str, theirs: Answer, ours: Answer, rose: tuple[bool, bool] = (False, False)) -> tuple[Verdict, bool]:
    """The verdict on two answers, and whether nothing can be compared any more."""
    step = call(kind, "POST", "/a/b", 0)
    outcome = verdict.judge(step, theirs, ours, rose, same_program=False)
    return outcome.verdict, verdict.parted(outcome)


def test_only_the_listed_differences_are_accepted() -> None:
    """Where devpi keeps half of what it refused, the serial may tell, and nothing else."""
    refused, other = answer(409, '{"message": "no"}'), answer(409, '{"message": "never"}')
    agreed, disagree = (Verdict.AGREE, False), (Verdict.DISAGREE, False)
    assert judged("upload", refused, refused) == agreed
    assert judged("upload", refused, refused, (True, False)) == (Verdict.LISTED, True)
    assert judged("upload", refused, refused, (False, True))[0] is Verdict.DISAGREE
    assert judged("upload", refused, other)[0] is Verdict.DISAGREE
    assert judged("upload", refused, answer(403, '{"message": "no"}'))[0] is Verdict.DISAGREE
    assert judged("create_user", refused, refused, (True, False)) == disagree
    assert judged("delete_project", refused, refused, (True, False)) == (Verdict.LISTED, False)
    done = answer(200, "{}")
    assert judged("upload", done, done, (True, True)) == agreed
    assert judged("upload", done, done, (True, False)) == disagree


def test_times_of_test_results_may_differ() -> None:
    """They are in names; everything else of the names counts."""

    def named(name: str) -> Answer:
        return answer(200, json.dumps({"result": f"a/b/+f/abc/def/x-1.tar.gz.toxresult-{name}"}))

    first = named("20260101000000-0")
    assert judged("report_test", first, named("20260101000001-0"))[0] is Verdict.AGREE
    assert judged("report_test", first, named("20260101000001-1"))[0] is Verdict.DISAGREE
    assert judged("report_test", first, named("2026-0"))[0] is Verdict.DISAGREE


def test_accepted_differences_are_documented() -> None:
    """Each id is a row of docs/differences.md."""
    assert verdict.ACCEPTED <= differences.documented_ids()
