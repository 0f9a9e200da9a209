"""Our server against devpi-server, request by request; see the package `judge`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from judge import compare, differences, plugin, report, servers
from judge.compare import Verdict
from judge.differences import Pair
from judge.exchange import Answer
from judge.scenarios import SCENARIOS
from judge.steps import Scenario, Step, get, json_page, page, read_json

NAMED = {id for scenario in SCENARIOS for step in scenario.steps for id in step.difference} | set(differences.STANDING)


@pytest.fixture(scope="session")
def programs() -> tuple[servers.Program, servers.Program]:
    """The reference and ours; without a reference there is nothing to compare with."""
    reference, ours = servers.reference(), servers.ours()
    try:
        reference.check()
    except servers.StartError as error:
        pytest.fail(str(error))
    return reference, ours


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_answers_like_devpi(
    scenario: Scenario,
    programs: tuple[servers.Program, servers.Program],
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    """Every step agrees or differs as listed; with --reference, devpi-server must agree with itself everywhere."""
    outcomes = compare.run(scenario, programs, same_program=bool(pytestconfig.getoption("--reference", False)))
    counts = {"verdicts": report.verdicts(outcomes), "differences": report.differences(outcomes)}
    record_property(plugin.PROPERTY, {name: dict(count) for name, count in counts.items()})
    wrong = [outcome for outcome in outcomes if outcome.verdict is Verdict.DISAGREE]
    if wrong:
        pytest.fail("\n".join(report.describe(outcome) for outcome in wrong), pytrace=False)


def test_every_accepted_difference_is_documented() -> None:
    """Each id that a step names is a row of docs/differences.md."""
    assert NAMED - differences.documented_ids() == set()


def test_every_known_difference_is_used() -> None:
    """The judge knows the differences that steps name, and no others."""
    assert differences.DIFFERENCES.keys() == NAMED


def test_users_of_steps_have_passwords() -> None:
    """Whoever a step is done as can log in."""
    for scenario in SCENARIOS:
        for step in scenario.steps:
            for given in step.credentials:
                is_login = not isinstance(given.secret, str) and not given.secret.is_forged
                assert not is_login or given.user in {"root", *scenario.passwords}, f"{scenario.name} {step.name}"


# The judge itself, on answers made up for it.

JSON_TYPE = {"content-type": "application/json"}
SIMPLE_TYPE = {"content-type": "application/vnd.pypi.simple.v1+json"}
HTML_TYPE = {"content-type": "text/html; charset=UTF-8"}
PAGE_HEADERS = {"vary": "Accept, User-Agent"}
OUR_PAGE_HEADERS = {
    "vary": "accept, user-agent, accept-encoding", "cache-control": "no-cache", "etag": '"x"', "content-length": "1",
}
THEIR_HTML = (
    '<!DOCTYPE html><html lang="en"><head><title>t</title></head><body><h1>t</h1>\n'
    'a/b <a href="../../+f/1/2/q-2-py3-none-any.whl#sha256=1" data-requires-python="">q-2-py3-none-any.whl</a><br>\n'
    'a/b <a href="../../+f/1/3/q-1.zip#sha256=2" data-requires-python="&gt;=3">q-1.zip</a><br>\n</body></html>'
)
OUR_HTML = (
    '<!DOCTYPE html>\n<html lang="en"><head><meta name="pypi:repository-version" content="1.4"><title>t</title></head>'
    '<body><h1>t</h1>a/b <a href="../../+f/1/2/q-2-py3-none-any.whl#sha256=1" data-core-metadata="sha256=9" '
    'data-dist-info-metadata="sha256=9">q-2-py3-none-any.whl</a><br/>'
    'a/b <a href="../../+f/1/3/q-1.zip#sha256=2" data-requires-python="&gt;=3">q-1.zip</a><br/></body></html>'
)


def answer(body: str, headers: dict[str, str], status: int = 200, reason: str = "OK") -> Answer:
    """An answer as it would come from a server."""
    return Answer(status, reason, tuple(headers.items()), body.encode())


def verdict(step: Step, theirs: Answer, ours: Answer, rose: tuple[bool, bool] = (False, False)) -> Verdict:
    """What the judge says of two answers."""
    return compare.judge(SCENARIOS[0], step, Pair(theirs, ours), rose).verdict


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        ('{"message": "no"}', '{ "message":"no" }', Verdict.AGREE),
        ('{"message": "no"}', '{"message": "No"}', Verdict.DISAGREE),
        ('{"a": null}', "{}", Verdict.DISAGREE),
        ('{"a": []}', '{"a": {}}', Verdict.DISAGREE),
        ('{"a": [1, 2]}', '{"a": [2, 1]}', Verdict.DISAGREE),
        ('{"a": true}', '{"a": "true"}', Verdict.DISAGREE),
        ('{"created": "2026-01-01T00:00:00Z"}', '{"created": "2026-01-01T00:00:09Z"}', Verdict.AGREE),
        ('{"created": "2026-01-01T00:00:00Z"}', '{"created": "2026-01-01"}', Verdict.DISAGREE),
        ('{"when": [2026, 1, 1, 0, 0, 1]}', '{"when": [2026, 1, 1, 0, 0, 2]}', Verdict.AGREE),
        ('{"when": [2026, 1, 1, 0, 0, 1]}', '{"when": [2026, 1, 1]}', Verdict.DISAGREE),
        ('{"x": "[\\"a\\", [], true].b.c"}', '{"x": "[\\"a\\", [], true].d.e"}', Verdict.AGREE),
        ('{"x": "[\\"a\\", [], true].b.c"}', '{"x": "[\\"b\\", [], true].b.c"}', Verdict.DISAGREE),
    ],
)
def test_json_is_compared_as_data(theirs: str, ours: str, expected: Verdict) -> None:
    """Layout and times do not matter; everything else does."""
    assert verdict(read_json("x", "/"), answer(theirs, JSON_TYPE), answer(ours, JSON_TYPE)) is expected


def test_booleans_are_no_numbers() -> None:
    """Python takes `True` for `1`; a client may not."""
    step = read_json("x", "/")
    assert verdict(step, answer('{"a": true}', JSON_TYPE), answer('{"a": 1}', JSON_TYPE)) is Verdict.DISAGREE


def test_reason_headers_and_serial_are_compared() -> None:
    """What is not in the body matters as well."""
    step, same = get("x", "/"), answer("", HTML_TYPE)
    assert verdict(step, same, same) is Verdict.AGREE
    assert verdict(step, same, answer("", HTML_TYPE, reason="Okay")) is Verdict.DISAGREE
    assert verdict(step, same, answer("", JSON_TYPE)) is Verdict.DISAGREE
    assert verdict(step, same, answer("", HTML_TYPE | {"vary": "Accept"})) is Verdict.DISAGREE
    assert verdict(step, same, same, (True, False)) is Verdict.DISAGREE


def test_wording_of_framework_internals_is_free() -> None:
    """Where devpi names a class of its own, ours may say something else, in the same place."""
    step = get("x", "/", 404)
    plain = {"content-type": "text/plain"}
    theirs = answer("404 Not Found\n\nNo.\n\n\npredicate mismatch for view V (a = b)\n\n", plain, 404)
    assert verdict(step, theirs, answer("404 Not Found\n\nNo.\n\n\n\n\n", plain, 404)) is Verdict.AGREE
    assert verdict(step, theirs, answer("404 Not Found\n\nYes.\n\n\n\n\n", plain, 404)) is Verdict.DISAGREE
    assert verdict(step, theirs, answer("404 Not Found", plain, 404)) is Verdict.DISAGREE


def test_pages_may_say_more_but_not_less() -> None:
    """Newer standards add to a page; what devpi lists stays."""
    step = page("x", "/a/b/+simple/q/")
    theirs = answer(THEIR_HTML, HTML_TYPE | PAGE_HEADERS)

    def ours(body: str) -> Verdict:
        return verdict(step, theirs, answer(body, HTML_TYPE | OUR_PAGE_HEADERS))

    assert ours(OUR_HTML) is Verdict.LISTED
    assert ours(OUR_HTML.replace('"1.4"', '"1.3"')) is Verdict.DISAGREE
    assert ours(OUR_HTML.replace("sha256=2", "sha256=3")) is Verdict.DISAGREE
    assert ours(OUR_HTML.replace("&gt;=3", "&gt;=4")) is Verdict.DISAGREE
    assert ours(OUR_HTML.replace("q-1.zip</a>", "q-0.zip</a>")) is Verdict.DISAGREE
    assert ours(OUR_HTML.replace("a/b <a", "a/c <a")) is Verdict.DISAGREE
    assert ours(OUR_HTML.replace("<h1>t", "<h1>u")) is Verdict.DISAGREE
    assert ours(OUR_HTML.replace('data-core-metadata="sha256=9"', 'data-core-metadata="true"')) is Verdict.DISAGREE
    assert ours(THEIR_HTML) is Verdict.DISAGREE


def test_json_pages_may_say_more_but_not_less() -> None:
    """The same in JSON."""
    step = json_page("x", "/a/b/+simple/q/")
    theirs = answer(
        '{"meta":{"api-version":"1.0"},"name":"q","files":[{"filename":"q-1.zip","url":"u","hashes":{},'
        '"requires-python":""}]}',
        SIMPLE_TYPE | PAGE_HEADERS,
    )
    good = (
        '{"meta":{"api-version":"1.4"},"name":"q","versions":["1"],"files":[{"filename":"q-1.zip","url":"u",'
        '"hashes":{},"size":1,"upload-time":"2026-01-01T00:00:00Z"}]}'
    )

    def ours(body: str) -> Verdict:
        return verdict(step, theirs, answer(body, SIMPLE_TYPE | OUR_PAGE_HEADERS))

    assert ours(good) is Verdict.LISTED
    assert ours(good.replace('"size":1,', "")) is Verdict.DISAGREE
    assert ours(good.replace('"versions":["1"],', "")) is Verdict.DISAGREE
    assert ours(good.replace('"url":"u"', '"url":"v"')) is Verdict.DISAGREE
    assert ours(good.replace('"size"', '"other":1,"size"')) is Verdict.DISAGREE


def test_an_accepted_difference_must_occur() -> None:
    """A difference that is gone must leave the list."""
    step = get("x", "/", difference="server-header", also=["Server"])
    theirs, ours = answer("", HTML_TYPE | {"server": "waitress"}), answer("", HTML_TYPE | {"server": "ours"})
    assert verdict(step, theirs, ours) is Verdict.LISTED
    assert verdict(step, theirs, theirs) is Verdict.DISAGREE


def test_the_scenario_is_checked_against_devpi() -> None:
    """Two equal answers with a status the scenario does not expect are no agreement."""
    missing = answer("", HTML_TYPE, 404, "Not Found")
    assert verdict(get("x", "/"), missing, missing) is Verdict.DISAGREE
