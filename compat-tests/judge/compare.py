"""Runs a scenario against a pair of servers and judges each pair of answers."""

from __future__ import annotations

import base64
import contextlib
import enum
import http.client
import re
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from . import normalise, servers, tokens, upstreams
from .differences import ABSENT, DIFFERENCES, STANDING, Mismatch, Pair, is_list_path
from .endpoint import Endpoint
from .exchange import Answer, Request
from .steps import HOST, Act, Credentials, External, Form, Scenario, Step, Token, encode_json
from .upstreams import Upstream

_BOUNDARY = "judge-9f2c41d07a"
_TOX_RESULT = re.compile(r"([^/\s\"]+/[^/\s\"]+/\+f/[^\s\"#]+\.toxresult-)(\d{14})(-\d+)")
_TIME_IN_PATH = re.compile(r"(?<=\.toxresult-)\*(?=-\d)")


class Verdict(enum.Enum):
    """What a pair of answers amounts to."""

    AGREE = "agree"
    LISTED = "differ by a listed difference"
    DISAGREE = "disagree"


@dataclass
class Outcome:
    """The verdict on one step, with all that is needed to understand it."""

    scenario: Scenario
    step: Step
    verdict: Verdict
    pair: Pair | None = None
    explained: dict[str, list[Mismatch]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass
class Side:
    """One of the two servers, what it gave out (login tokens, names of tox results), where it pushes to, and what it
    mirrors."""

    server: servers.Server
    passwords: dict[str, str]
    logins: dict[str, str] = field(default_factory=dict)
    endpoint: Endpoint | None = None
    upstream: Upstream | None = None
    tox_times: dict[str, str] = field(default_factory=dict)

    def ask(self, step: Step) -> tuple[Answer, bool]:
        """Send the step's request; also tells whether the serial rose."""
        answer, rose = self.server.send(self._request(step))
        if b".toxresult-" in answer.body:
            self.tox_times |= {f"{before}*{after}": time for before, time, after in _TOX_RESULT.findall(answer.text())}
        if self.endpoint:
            answer = replace(answer, sent=self.endpoint.take())
        return (self.upstream.answer(answer) if self.upstream else answer), rose

    def prepare(self, act: Act) -> None:
        """Let what a step wants happen first."""
        if act.restart is not None:
            self.server.restart(act.restart)
        if act.upstream is not None:
            if self.upstream is None:
                raise LoginError(f"the scenario has no upstream: {act.about}")
            act.upstream(self.upstream.fake)

    def _request(self, step: Step) -> Request:
        headers = [("Host", HOST), *step.headers]
        if any(name.lower() == "host" for name, _ in step.headers):
            headers = headers[1:]
        headers += [(given.header, self._encode(given)) for given in step.credentials]
        body, content_type = self._body(step.body)
        if content_type and not any(name.lower() == "content-type" for name, _ in step.headers):
            headers.append(("Content-Type", content_type))
        return Request(step.method, self._path(step.path), tuple(headers), body)

    def _path(self, path: str) -> str:
        """The path with the time of the newest tox result of that name, or with the upstream in it."""
        if self.upstream:
            return self.upstream.inward(path)
        if not _TIME_IN_PATH.search(path):
            return path
        name = path.partition("?")[0].strip("/")
        times = [time for known, time in self.tox_times.items() if name.endswith(known)]
        return _TIME_IN_PATH.sub(times[-1] if times else "0" * 14, path)

    def _body(self, body: Any) -> tuple[bytes, str | None]:
        if body is None:
            return b"", None
        if isinstance(body, bytes):
            return body, None
        if isinstance(body, Form):
            return encode_form(body), f"multipart/form-data; boundary={_BOUNDARY}"
        encoded = encode_json(_fill(body, self._value))
        return (self.upstream.inward(encoded.decode()).encode() if self.upstream else encoded), "application/json"

    def _encode(self, given: Credentials) -> str:
        text = f"{given.user}:{self._secret(given.secret)}"
        encoded = base64.b64encode(text.encode()).decode()
        return encoded if given.header == "X-Devpi-Auth" else f"{given.scheme} {encoded}"

    def _value(self, placeholder: Token | External) -> str:
        if isinstance(placeholder, Token):
            return self._secret(placeholder)
        if self.endpoint is None:
            raise LoginError("there is no endpoint to push to")
        return self.endpoint.url(placeholder.path, alive=placeholder.alive)

    def _secret(self, secret: str | Token) -> str:
        if isinstance(secret, str):
            return secret
        return tokens.forge(secret) if secret.is_forged else self._login(secret.user)

    def _login(self, user: str) -> str:
        if user not in self.logins:
            if user not in self.passwords:
                raise LoginError(f"the scenario has no password of {user}")
            body = encode_json({"user": user, "password": self.passwords[user]})
            headers = (("Host", HOST), ("Accept", "application/json"), ("Content-Type", "application/json"))
            answer, _ = self.server.send(Request("POST", "/+login", headers, body))
            if answer.status != 200:
                raise LoginError(f"{self.server.program.name}: login of {user} gave {answer.status}: {answer.text()}")
            self.logins[user] = answer.json()["result"]["password"]
        return self.logins[user]


class LoginError(RuntimeError):
    """A step could not be sent since the user could not log in, or the scenario lacks what it needs."""


def run(
    scenario: Scenario,
    programs: Sequence[servers.Program],
    *,
    same_program: bool = False,
    observe: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run all steps on a fresh pair of servers; `same_program` expects agreement everywhere."""
    passwords = {"root": "", **scenario.passwords}
    outcomes = []
    ours = () if same_program else scenario.our_options
    options = (scenario.options, (*scenario.options, *ours))
    with servers.running(programs, options) as pair, contextlib.ExitStack() as stack:
        sides = [Side(server, passwords, endpoint=stack.enter_context(Endpoint())) for server in pair]
        if scenario.upstream is not None:
            for side in sides:
                side.upstream = stack.enter_context(upstreams.prepared(scenario.upstream))
        pool = stack.enter_context(ThreadPoolExecutor(len(sides)))
        for step in scenario.steps:
            outcome = _ask_and_judge(scenario, step, sides, pool, same_program)
            if observe is not None:
                observe(outcome)
            outcomes.append(outcome)
    return outcomes


def _ask_and_judge(
    scenario: Scenario, step: Step, sides: Sequence[Side], pool: ThreadPoolExecutor, same_program: bool
) -> Outcome:
    try:
        for act in step.before:
            list(pool.map(lambda side, act=act: side.prepare(act), sides))
            time.sleep(act.seconds)
        (theirs, they_rose), (ours, we_rose) = pool.map(lambda side: side.ask(step), sides)
    except (LoginError, ConnectionError, http.client.HTTPException) as error:
        return Outcome(scenario, step, Verdict.DISAGREE, problems=[str(error)])
    rose = (they_rose, we_rose) if scenario.upstream is None else (False, False)
    return judge(scenario, step, Pair(theirs, ours, step), rose, same_program=same_program)


def judge(
    scenario: Scenario,
    step: Step,
    pair: Pair,
    rose: tuple[bool, bool] = (False, False),
    *,
    same_program: bool = False,
) -> Outcome:
    """Compare two answers to a step; `rose` tells for each whether it raised the serial."""
    outcome = Outcome(scenario, step, Verdict.AGREE, pair)
    if pair.theirs.status != step.status:
        outcome.problems.append(f"devpi answers {pair.theirs.status}; the scenario expects {step.status}")
    if not same_program and step.our_status not in (None, pair.ours.status):
        outcome.problems.append(f"ours answers {pair.ours.status}, not {step.our_status}")
    if not same_program and step.ours:
        outcome.problems += _not_as_expected(step, normalise.facts(step, pair.ours, rose[1]))
    _explain(outcome, list(_mismatches(step, pair, *rose)), None if same_program else step.difference)
    if outcome.problems:
        outcome.verdict = Verdict.DISAGREE
    elif outcome.explained:
        outcome.verdict = Verdict.LISTED
    return outcome


def _not_as_expected(step: Step, ours: normalise.Facts) -> Iterable[str]:
    for key, expected in step.ours.items():
        found = ours.get(key)
        if found != expected:
            yield f"{key}: ours {found!r}, not {expected!r}"


def _mismatches(step: Step, pair: Pair, they_rose: bool, we_rose: bool) -> Iterable[Mismatch]:
    theirs = normalise.facts(step, pair.theirs, they_rose)
    ours = normalise.facts(step, pair.ours, we_rose)
    from_front_server = normalise.is_front_server_text(pair.theirs)
    for key in [*theirs, *(key for key in ours if key not in theirs)]:
        mismatch = Mismatch(key, theirs.get(key, ABSENT), ours.get(key, ABSENT))
        # Python takes True for 1; the clients' languages do not.
        if type(mismatch.theirs) is type(mismatch.ours) and mismatch.theirs == mismatch.ours:
            continue
        if upstreams.is_list(key) and (ABSENT in (mismatch.theirs, mismatch.ours) or not is_list_path(step.path)):
            continue
        if key.startswith("upstream:") and upstreams.asks_less(mismatch.theirs, mismatch.ours):
            continue
        # Texts that only name the inside of devpi's framework, or its HTTP server's own, may be worded otherwise.
        if key == "detail" and normalise.is_framework_inside(mismatch.theirs):
            continue
        if from_front_server and (key in {"body", "detail"} or key.startswith("header:x-devpi-")):
            continue
        yield mismatch


def _explain(outcome: Outcome, mismatches: Sequence[Mismatch], expected: Sequence[str] | None) -> None:
    """Sort the mismatches into those that the expected differences cover and problems; `None` expects none."""
    if expected is None:
        outcome.problems.extend(map(str, mismatches))
        return
    for mismatch in mismatches:
        ids = [id for id in expected if DIFFERENCES[id].explains(mismatch)]
        ids = ids or [id for id in STANDING if DIFFERENCES[id].explains(mismatch)]
        for id in ids:
            outcome.explained.setdefault(id, []).append(mismatch)
        if not ids:
            outcome.problems.append(str(mismatch))
    for id in (*expected, *STANDING):
        covered = {mismatch.key: mismatch for mismatch in outcome.explained.get(id, [])}
        if not covered:
            if id not in STANDING:
                outcome.problems.append(f"the accepted difference {id} does not occur")
            continue
        check = DIFFERENCES[id].check
        wrong = check(outcome.pair, covered) if check and outcome.pair else None
        if wrong:
            outcome.problems.append(f"{id}: {wrong}")


def encode_form(form: Form) -> bytes:
    """The body of a multipart form."""
    parts = []
    for name, value in form.fields:
        parts.append(f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode())
    for name, filename, content in form.files:
        disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
        parts.append(f"{disposition}\r\nContent-Type: application/octet-stream\r\n\r\n".encode() + content)
    opening = f"--{_BOUNDARY}\r\n".encode()
    return b"".join(opening + part + b"\r\n" for part in parts) + f"--{_BOUNDARY}--\r\n".encode()


def _fill(value: Any, resolve: Callable[[Any], str]) -> Any:
    """A JSON body with its placeholders replaced."""
    if isinstance(value, (Token, External)):
        return resolve(value)
    if isinstance(value, dict):
        return {key: _fill(item, resolve) for key, item in value.items()}
    return [_fill(item, resolve) for item in value] if isinstance(value, list) else value
