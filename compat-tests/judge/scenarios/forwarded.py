"""Headers of a proxy in front, and whom they are believed."""

from __future__ import annotations

from collections.abc import Iterator

from ..steps import HTML, JSON, Scenario, Step, get, index, page, post, read_json, upload, user

API, BARE, PAGE = "/alice/vol/+api", "/alice/vol/+simple/pkg-a", "/alice/vol/+simple/pkg-a/"
ALL = "x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port"

_PREPARE = [
    user("alice", "pw2"),
    index("/alice/vol"),
    upload("prepare an sdist", "/alice/vol", 200, "Pkg_A", "1.0", "Pkg_A-1.0.tar.gz", b"1"),
]

HOST, PROTO, PORT, FOR = "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-For"

# What a proxy may send; nothing of it is refused.
_GOOD: dict[str, dict[str, str]] = {
    "nothing": {},
    "host": {HOST: "fh.example"},
    "host with port": {HOST: "fh.example:8080"},
    "host with the port of http": {HOST: "fh.example:80"},
    "host with the port of https": {HOST: "fh.example:443"},
    "host in quotes": {HOST: '"fh.example"'},
    "host of two proxies": {HOST: "one.example, two.example"},
    "host that is empty": {HOST: ""},
    "host that is an address": {HOST: "[2001:db8::1]"},
    "host that is an address with a port": {HOST: "[2001:db8::1]:81"},
    "proto https": {PROTO: "https"},
    "proto http": {PROTO: "http"},
    "proto in capitals": {PROTO: "HTTPS"},
    "proto in quotes": {PROTO: '"https"'},
    "proto that is empty": {PROTO: ""},
    "port": {PORT: "8443"},
    "port that is empty": {PORT: ""},
    "port that is no number": {PORT: "x"},
    "for": {FOR: "1.2.3.4"},
    "for two": {FOR: "1.2.3.4, 5.6.7.8"},
    "for an address": {FOR: "2001:db8::1"},
    "host and proto": {HOST: "fh.example", PROTO: "https"},
    "host with port and proto": {HOST: "fh.example:8080", PROTO: "https"},
    "host with the port of https and proto": {HOST: "fh.example:443", PROTO: "https"},
    "host with the port of http and proto https": {HOST: "fh.example:80", PROTO: "https"},
    "host and port": {HOST: "fh.example", PORT: "8080"},
    "host and port of http": {HOST: "fh.example", PORT: "80"},
    "host and port of https": {HOST: "fh.example", PORT: "443"},
    "host, proto and port": {HOST: "fh.example", PROTO: "https", PORT: "8443"},
    "host, proto and its port": {HOST: "fh.example", PROTO: "https", PORT: "443"},
    "host, proto and the other's port": {HOST: "fh.example", PROTO: "https", PORT: "80"},
    "host, proto http and port of https": {HOST: "fh.example", PROTO: "http", PORT: "443"},
    "host with port and another port": {HOST: "fh.example:8080", PORT: "9090"},
    "proto and port": {PROTO: "https", PORT: "8443"},
    "all": {HOST: "fh.example", PROTO: "https", PORT: "8443", FOR: "1.2.3.4"},
    "all and an outside url": {HOST: "fh.example", PROTO: "https", "X-Outside-Url": "http://out.example/sub"},
    "all and another host": {HOST: "fh.example", PROTO: "https", "Host": "foo.example:99"},
    "forwarded": {"Forwarded": "for=1.2.3.4;host=fw.example;proto=https"},
    "forwarded with port": {"Forwarded": 'host="fw.example:8443";proto=https'},
    "forwarded proto": {"Forwarded": "proto=https"},
    "forwarded host": {"Forwarded": "host=fw.example"},
    "forwarded in capitals": {"Forwarded": "Host=FW.example;Proto=HTTPS"},
    "forwarded of two proxies": {"Forwarded": "host=one.example;proto=https, host=two.example"},
    "forwarded of two proxies, the last silent": {"Forwarded": "host=one.example;proto=https, for=1.2.3.4"},
    "forwarded for an address": {"Forwarded": 'for="[2001:db8::1]:47011";host=fw.example'},
    "forwarded with an unknown word": {"Forwarded": "host=fw.example;what=x"},
    "forwarded with an empty pair": {"Forwarded": "host=fw.example;;proto=https"},
    "forwarded that is empty": {"Forwarded": ""},
    "forwarded and host": {"Forwarded": "host=fw.example", HOST: "fh.example", PROTO: "https"},
    "real ip": {"X-Real-IP": "1.2.3.4"},
    "by": {"X-Forwarded-By": "1.2.3.4"},
}

# Refused with 400 where the header is believed.
_BAD: dict[str, dict[str, str]] = {
    "proto of another kind": {PROTO: "ftp"},
    "proto of two": {PROTO: "https, http"},
    "port of two": {PORT: "80, 81"},
    "host with an open quote": {HOST: '"fh.example'},
    "proto with an open quote": {PROTO: '"https'},
}

_BAD_FORWARDED: dict[str, dict[str, str]] = {
    "forwarded without value": {"Forwarded": "host"},
    "forwarded with a blank before": {"Forwarded": "host=fw.example; proto=https"},
    "forwarded with a blank behind the word": {"Forwarded": "host =fw.example"},
    "forwarded with a blank before the value": {"Forwarded": "host= fw.example"},
    "forwarded proto of another kind": {"Forwarded": "proto=ftp"},
    "forwarded with an open quote": {"Forwarded": 'host="fw.example'},
}


# Enough where no header is believed, or only one of them.
_FEW = (
    "host with port", "proto https", "host, proto and port", "all and an outside url", "forwarded",
    "forwarded of two proxies",
)  # fmt: skip


def _steps(sets: dict[str, dict[str, str]], bad: dict[str, dict[str, str]]) -> Iterator[Step]:
    """Each set of headers where URLs are built; for the refused ones each form of the error."""
    for words, headers in (sets | _BAD | _BAD_FORWARDED).items():
        refused = words in bad
        yield read_json(words, API, 400 if refused else 200, headers=headers)
        if refused:
            yield get(f"{words}, without accept", BARE, 400, headers=headers)
            yield get(f"{words}, for a browser", "/", 400, accept=HTML, headers=headers)


def _scenario(
    name: str,
    about: str,
    options: tuple[str, ...],
    bad: dict[str, dict[str, str]],
    sets: dict[str, dict[str, str]] | None = None,
) -> Scenario:
    both = {HOST: "fh.example", PROTO: "https", "Forwarded": "host=fw.example;proto=https"}
    return Scenario(
        name,
        about,
        [
            *_PREPARE,
            *_steps(sets or {words: _GOOD[words] for words in _FEW}, bad),
            get("a redirect", BARE, 302, headers=both),
            page("a page with relative links", PAGE, headers=both),
            page("a page with absolute links", PAGE, headers=both | {"X-Devpi-Absolute-Urls": ""}),
            read_json("project data", "/alice/vol/pkg-a", headers=both),
            get("a redirect for a browser", BARE, 302, accept=HTML, headers=both),
            read_json("a redirect with json", "/alice/vol/Pkg_A", 302, headers=both),
            post("a refresh", f"{PAGE}refresh", 302, headers=both),
            post("a login", "/+login", 200, {"user": "root", "password": ""}, accept=JSON, headers=both),
            read_json("the check of a proxy", "/+authcheck", headers=both | {"X-Original-URI": API}),
            upload("an upload", "/alice/vol", 200, "Pkg_A", "2.0", "Pkg_A-2.0.tar.gz", b"2", headers=both),
        ],
        {"alice": "pw2"},
        options,
    )


_TRUST = ("--trusted-proxy", "127.0.0.1")

UNTRUSTED = _scenario("forwarded-untrusted", "a proxy's headers, nobody trusted", (), {})
FORWARDED_BY_HOST = _scenario(
    "forwarded-x", "X-Forwarded headers of a trusted proxy",
    (*_TRUST, "--trusted-proxy-count", "1", "--trusted-proxy-headers", ALL), _BAD, _GOOD,
)  # fmt: skip
FORWARDED = _scenario(
    "forwarded", "the Forwarded header of a trusted proxy",
    (*_TRUST, "--trusted-proxy-count", "1", "--trusted-proxy-headers", "forwarded"), _BAD_FORWARDED, _GOOD,
)  # fmt: skip
TWO_PROXIES = _scenario(
    "forwarded-two", "X-Forwarded headers of two trusted proxies",
    (*_TRUST, "--trusted-proxy-count", "2", "--trusted-proxy-headers", ALL), _BAD, _GOOD,
)  # fmt: skip
TWO_PROXIES_FORWARDED = _scenario(
    "forwarded-two-standard", "the Forwarded header of two trusted proxies, any address",
    ("--trusted-proxy", "*", "--trusted-proxy-count", "2", "--trusted-proxy-headers", "Forwarded"), _BAD_FORWARDED,
)  # fmt: skip
ANOTHER_PROXY = _scenario(
    "forwarded-elsewhere", "a proxy's headers, another one trusted",
    ("--trusted-proxy", "127.0.0.2", "--trusted-proxy-headers", ALL), {},
)  # fmt: skip
NO_HEADERS = _scenario(
    "forwarded-default", "a trusted proxy without a list of headers",
    _TRUST, {words: _BAD[words] for words in _BAD if words.startswith("proto")},
)  # fmt: skip
SOME_HEADERS = _scenario(
    "forwarded-some", "only some headers of a trusted proxy, and an outside URL",
    (*_TRUST, "--trusted-proxy-headers", "x-forwarded-host", "--outside-url", "https://outside.example/sub"),
    {words: _BAD[words] for words in _BAD if words.startswith("host")},
)  # fmt: skip

SCENARIOS = (
    UNTRUSTED, FORWARDED_BY_HOST, FORWARDED, TWO_PROXIES, TWO_PROXIES_FORWARDED, ANOTHER_PROXY, NO_HEADERS,
    SOME_HEADERS,
)  # fmt: skip
