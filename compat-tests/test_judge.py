"""Our server against devpi-server, request by request; see the package `judge`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import pytest

from judge import compare, differences, exchange, plugin, report, servers, upstreams
from judge.compare import Verdict
from judge.differences import Pair
from judge.endpoint import Endpoint
from judge.exchange import Answer, Request
from judge.scenarios import SCENARIOS
from judge.steps import Form, Scenario, Step, get, json_page, page, read_json
from upstream import FakeUpstream, File, Project, Recorded

PAIRS = range(1, 571)
"""The numbers of the captured pairs of the protocol reference."""

# Pairs that no step re-creates, and what they need.
LEFT_OUT: dict[int, str] = {
    18: "replication",
    478: "replication",
    **dict.fromkeys(range(533, 545), "a plugin that restricts reading"),
    546: "a plugin that takes part in uploads",
    547: "a plugin that takes part in uploads",
    548: "a plugin that knows further users",
    568: "replication",
    569: "replication",
    570: "replication",
}

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


def test_every_captured_pair_is_asked_or_left_out_for_a_reason() -> None:
    """Each number is the name of one step, or stands in the table above; none is both."""
    names = [step.name for scenario in SCENARIOS for step in scenario.steps if step.name.isdigit()]
    assert sorted(itertools.chain(names, map("{:03}".format, LEFT_OUT))) == [f"{number:03}" for number in PAIRS]


def test_every_accepted_difference_is_documented() -> None:
    """Each id that a step names is a row of docs/differences.md."""
    assert NAMED - differences.documented_ids() == set()


def test_the_document_names_scenarios_that_show_the_difference() -> None:
    """`judge: NAME` in the last column is a scenario with a step that expects it, or with any step if all may."""
    shown = {
        (id, scenario.name) for scenario in SCENARIOS for step in scenario.steps for id in step.difference
    } | {(id, scenario.name) for scenario in SCENARIOS for id in differences.STANDING}
    named = differences.documented_scenarios()
    assert {name for _, name in named} <= {scenario.name for scenario in SCENARIOS}
    assert {(id, name) for id, name in named if id in NAMED} - shown == set()


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


def test_what_a_server_sent_is_compared() -> None:
    """A push elsewhere is judged by what arrives there; where in the form a field stands means nothing."""
    step = get("x", "/")

    def sent(*fields: tuple[str, str], filename: str = "q-1.zip", agent: str = "devpi-server/6.20.3 (x)") -> Answer:
        body = compare.encode_form(Form(fields, (("content", filename, b"\r\n--x"),)))
        headers = {"content-type": "multipart/form-data; boundary=judge-9f2c41d07a", "user-agent": agent}
        return replace(answer("", HTML_TYPE), sent=(Request("POST", "/up/200", tuple(headers.items()), body),))

    theirs = sent(("name", "q"), ("a", "1"), ("a", "2"))
    assert verdict(step, theirs, sent(("a", "1"), ("name", "q"), ("a", "2"), agent="devpi-server/6.20.3 (y)")) is (
        Verdict.AGREE
    )
    assert verdict(step, theirs, sent(("name", "q"), ("a", "2"), ("a", "1"))) is Verdict.DISAGREE
    assert verdict(step, theirs, sent(("name", "q"), ("a", "1"))) is Verdict.DISAGREE
    assert verdict(step, theirs, sent(("name", "q"), ("a", "1"), ("a", "2"), filename="q.zip")) is Verdict.DISAGREE
    assert verdict(step, theirs, sent(("name", "q"), ("a", "1"), ("a", "2"), agent="ours")) is Verdict.DISAGREE
    assert verdict(step, theirs, answer("", HTML_TYPE)) is Verdict.DISAGREE


def test_the_endpoint_answers_as_its_path_says() -> None:
    """Codes in turn, then the last one again; what came is handed out once."""
    with Endpoint() as endpoint:
        port = int(endpoint.url("").rpartition(":")[2])
        request = Request("POST", "/up/201,400/utf-8", (("Host", "x"), ("Content-Type", "text/plain")), b"body")
        answers = [exchange.send((servers.HOST, port), request) for _ in range(3)]
        assert [answer.status for answer in answers] == [201, 400, 400]
        assert answers[1].text() == "upstream says 400 \u00e4\u4e2d"
        taken = endpoint.take()
        assert [(one.method, one.target, one.body) for one in taken] == [("POST", request.target, b"body")] * 3
        assert endpoint.take() == ()
        dead = int(endpoint.url("", alive=False).rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            exchange.send((servers.HOST, dead), request)


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ('{"a": "1", "new_field": "new_field x"}', Verdict.LISTED),
        ('{"a": "1", "new_field": ["new_field x", "new_field y"]}', Verdict.LISTED),
        ('{"a": "1", "new_field": "x"}', Verdict.DISAGREE),
        ('{"a": "2", "new_field": "new_field x"}', Verdict.DISAGREE),
        ('{"a": "1", "md5_digest": "md5_digest x"}', Verdict.DISAGREE),
        ('{"a": "1", "filetype": "filetype x"}', Verdict.DISAGREE),
        ('{"a": "1"}', Verdict.DISAGREE),
    ],
)
def test_unknown_fields_are_kept_as_sent(ours: str, expected: Verdict) -> None:
    """What ours has more must be fields of the form, and none that describes the transport."""
    step = read_json("x", "/", difference="unknown-fields")
    assert verdict(step, answer('{"a": "1"}', JSON_TYPE), answer(ours, JSON_TYPE)) is expected


def test_a_refused_push_sends_nothing() -> None:
    """The text of the refusal is fixed, and nothing may have left the server."""
    step = read_json("x", "/", difference="anonymous-push")
    theirs = answer('{"result": [], "type": "actionlog"}', JSON_TYPE)
    good = answer('{"message": "user None cannot push to other servers"}', JSON_TYPE, 401, "Unauthorized")
    assert verdict(step, theirs, good) is Verdict.LISTED
    assert verdict(step, theirs, replace(good, sent=(Request("POST", "/"),))) is Verdict.DISAGREE
    assert verdict(step, theirs, replace(good, status=403)) is Verdict.DISAGREE
    assert verdict(step, theirs, answer('{"message": "no"}', JSON_TYPE, 401, "Unauthorized")) is Verdict.DISAGREE


# The judge and the upstreams of mirrors.

def asked(target: str, *, method: str = "GET", status: int = 200, **headers: str) -> Recorded:
    """A request that an upstream got."""
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Recorded(method, target, given, status=status)


def test_the_upstream_is_named_in_requests_and_answers() -> None:
    """Its address stands in what is sent and never in what is compared."""
    with upstreams.prepared([]) as upstream:
        host, other = upstream.fake.host, upstream.fake.other_host
        assert upstream.inward("http://upstream.example/simple") == f"http://{host}/simple"
        assert upstream.inward("/+e/http_other.example_files/x") == f"/+e/http_{other.replace(':', '_')}_files/x"
        given = Answer(302, "Found", (("location", f"http://{other}/x"),), f"{host} {host.replace(':', '_')}".encode())
        named = upstream.answer(given)
        assert (named.header("location"), named.text()) == (
            "http://other.example/x", "upstream.example upstream.example"
        )


def test_what_was_asked_of_the_upstream_is_compared() -> None:
    """How often each path, with what; the project list only where it is wanted."""
    step, wanted = get("x", "/a/b/+simple/q/"), get("x", "/a/b/+simple/")

    def answered(*requests: Recorded) -> Answer:
        return replace(answer("", HTML_TYPE), asked=requests)

    page_request = asked("/simple/q/", accept="x")
    theirs = answered(page_request, asked("/simple/"))
    assert verdict(step, theirs, answered(page_request)) is Verdict.AGREE
    assert verdict(step, theirs, answered(asked("/simple/q/", accept="x", user_agent="y"))) is Verdict.AGREE
    assert verdict(step, theirs, answered(asked("/simple/q/", accept="y"))) is Verdict.DISAGREE
    assert verdict(step, theirs, answered(asked("/simple/q/", accept="x", x_devpi_auth="z"))) is Verdict.DISAGREE
    assert verdict(step, theirs, answered(page_request, page_request)) is Verdict.DISAGREE
    assert verdict(step, theirs, answered()) is Verdict.DISAGREE
    assert verdict(wanted, answered(asked("/simple/")), answered(asked("/simple/", accept="y"))) is Verdict.DISAGREE


def test_answers_that_are_cut_are_kept() -> None:
    """A lost connection is a fact about the answer."""
    with FakeUpstream(Project("q", [File("q-1.zip", b"0123456789")])) as upstream:
        upstream.fault("/files/q-1.zip", cut_after=4)
        request = Request("GET", "/files/q-1.zip", (("Host", "x"),))
        cut = exchange.send((servers.HOST, upstream.port), request)
        assert (cut.status, cut.body, cut.cut) == (200, b"0123", True)
        upstream.file("q-1.zip").chunked = True
        cut = exchange.send((servers.HOST, upstream.port), request)
        assert (cut.status, cut.body, cut.cut) == (200, b"0123", True)
        upstream.heal()
        whole = exchange.send((servers.HOST, upstream.port), request)
        assert (whole.body, whole.cut) == (b"0123456789", False)
    step = get("x", "/a/b/+f/q-1.zip")
    assert verdict(step, whole, replace(whole, cut=True)) is Verdict.DISAGREE


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (answer('{"message": "hash mismatch for x"}', JSON_TYPE, 502, "Bad Gateway"), Verdict.LISTED),
        (replace(answer("wro", HTML_TYPE), cut=True), Verdict.LISTED),
        (answer("other", HTML_TYPE), Verdict.DISAGREE),
        (answer('{"message": "no"}', JSON_TYPE, 502, "Bad Gateway"), Verdict.DISAGREE),
    ],
)
def test_a_wrong_file_is_never_whole(ours: Answer, expected: Verdict) -> None:
    """Either an error that says so, or a connection that is cut."""
    step = get("x", "/a/b/+f/q-1.zip", difference="mirror-wrong-hash")
    assert verdict(step, answer("wrong", HTML_TYPE), ours) is expected


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ("http://*****@upstream.example/simple/", Verdict.LISTED),
        ("http://upstream.example/simple/", Verdict.DISAGREE),
        ("http://us:***@upstream.example/simple/", Verdict.DISAGREE),
        ("http://*****@other.example/simple/", Verdict.DISAGREE),
    ],
)
def test_credentials_are_stars(ours: str, expected: Verdict) -> None:
    """They are hidden, and nothing else is."""
    step = read_json("x", "/a/b", difference="mirror-credentials")

    def record(url: str) -> Answer:
        return answer(f'{{"result": {{"mirror_url": "{url}"}}}}', JSON_TYPE)

    assert verdict(step, record("http://us:pw@upstream.example/simple/"), record(ours)) is expected


def test_stale_answers_say_since_when() -> None:
    """With a date and a reason."""
    step = get("x", "/a/b/+simple/q/", difference="mirror-stale-header")
    stale = {"x-wheelhouse-stale-since": "Wed, 25 Nov 2026 07:48:19 GMT", "x-wheelhouse-stale-reason": "503"}
    theirs = answer("", HTML_TYPE)
    assert verdict(step, theirs, answer("", HTML_TYPE | stale)) is Verdict.LISTED
    assert verdict(step, theirs, answer("", HTML_TYPE | stale | {"x-wheelhouse-stale-reason": ""})) is Verdict.DISAGREE
    bad = stale | {"x-wheelhouse-stale-since": "now"}
    assert verdict(step, theirs, answer("", HTML_TYPE | bad)) is Verdict.DISAGREE
    assert verdict(get("x", "/"), theirs, answer("", HTML_TYPE | stale)) is Verdict.DISAGREE


def test_a_step_may_say_what_ours_answers() -> None:
    """Where a difference leaves facts open."""
    step = read_json("x", "/a/b", difference="mirror-credentials", ours={"json:/a": 1, "json:/b": None})
    outcome = compare.judge(SCENARIOS[0], step, Pair(answer("{}", JSON_TYPE), answer('{"a": 2, "b": 3}', JSON_TYPE)))
    assert {"json:/a: ours 2, not 1", "json:/b: ours 3, not None"} <= set(outcome.problems)
