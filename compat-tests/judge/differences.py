"""The accepted differences: which facts each may change, and what our answer must look like where it does.

The ids are those of the rows in docs/differences.md. A step names the ones it expects; what they do not cover is
compared as anywhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from . import servers
from .exchange import Answer
from .steps import Step

DOCUMENT = servers.REPOSITORY / "docs" / "differences.md"

_SHOWN_BY = re.compile(r"^\|\s*`?([a-z0-9][a-z0-9.-]*)`?\s*\|.*\bjudge: ([a-z0-9-]+(?:, [a-z0-9-]+)*)", re.MULTILINE)
_ROW = re.compile(r"^\|\s*`?([a-z0-9][a-z0-9.-]*)`?\s*\|", re.MULTILINE)


class _Absent:
    """Stands for a fact that only one of the answers has."""

    def __repr__(self) -> str:
        return "(nothing)"


ABSENT = _Absent()


@dataclass(frozen=True)
class Mismatch:
    """One fact on which the two answers differ."""

    key: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        """One line for the report."""
        return f"{self.key}: devpi {self.theirs!r}, ours {self.ours!r}"


@dataclass(frozen=True)
class Pair:
    """The two answers to one step."""

    theirs: Answer
    ours: Answer
    step: Step | None = None

    @property
    def mirrored(self) -> bool:
        """Whether they are pages that show files or projects of an upstream."""
        return self.step is not None and self.step.mirrored


Check = Callable[[Pair, Mapping[str, Mismatch]], str | None]
"""Says what is wrong with our answer where the difference is accepted, or nothing."""


@dataclass(frozen=True)
class Difference:
    """An accepted difference."""

    id: str
    facts: tuple[str, ...]
    """Patterns of the facts it may change."""
    check: Check | None = None
    standing: bool = False
    """Whether it may occur at any step, so that steps do not name it. Its check then tells it from mistakes."""

    def explains(self, mismatch: Mismatch) -> bool:
        """Whether the mismatch is of the accepted kind."""
        return any(fnmatchcase(mismatch.key, pattern) for pattern in self.facts)


def documented_ids() -> set[str]:
    """The ids in the first column of the table in docs/differences.md."""
    return set(_ROW.findall(DOCUMENT.read_text(encoding="utf-8"))) - {"id"}


def documented_scenarios() -> set[tuple[str, str]]:
    """Each id with each of the scenarios that its row says show it."""
    rows = _SHOWN_BY.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {(id, name) for id, names in rows for name in names.split(", ")}


def _refused(*statuses: int) -> Check:
    """Ours answers with one of the statuses and says why, in the reason phrase or the body."""

    def check(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
        if pair.ours.status not in statuses:
            return f"ours answers {pair.ours.status}, not {' or '.join(map(str, statuses))}"
        return None if pair.ours.body else "ours does not say why"

    return check


def _crash_is_refused(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    # A push elsewhere catches what it raises itself, and shows it.
    if pair.theirs.status != 500 and b'"exception on ' not in pair.theirs.body:
        return f"devpi no longer answers 500 but {pair.theirs.status}"
    if not 400 <= pair.ours.status < 500:
        return f"ours answers {pair.ours.status}, not 4xx"
    return None if pair.ours.body else "ours does not say why"


def _nothing_changed(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    serial = mismatches.get("serial")
    return "ours raised the serial and devpi did not" if serial and serial.ours == "rose" else None


def _each_base_once(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    headings = mismatches.get("page:headings")
    if headings and list(dict.fromkeys(headings.theirs)) != headings.ours:
        return f"the headings are {headings.ours}"
    others = [mismatch for mismatch in mismatches.values() if mismatch is not headings]
    more = [mismatch.key for mismatch in others if mismatch.ours is not ABSENT]
    return f"ours has {', '.join(more)}" if more else None


def _pushed_where_devpi_crashes(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.theirs.status != 500:
        return f"devpi no longer answers 500 but {pair.theirs.status}"
    return None if pair.ours.status == 200 else f"ours answers {pair.ours.status}"


def _encoded_once(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    wrong = [str(mismatch) for mismatch in mismatches.values() if mismatch.theirs.replace("%25", "%") != mismatch.ours]
    return "; ".join(wrong) or None


def _same_words_before_the_inside(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    for mismatch in mismatches.values():
        words = re.split(r"<|&lt;|ItemsView", str(mismatch.theirs))[0]
        if not str(mismatch.ours).startswith(words):
            return f"{mismatch.key} does not start with {words!r}"
    return None


def _more_vary(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    wanted = {"accept-encoding", *_names(pair.theirs.header("vary"))}
    missing = wanted - _names(pair.ours.header("vary"))
    if missing:
        return f"Vary lacks {', '.join(sorted(missing))}"
    if pair.ours.header("last-modified"):
        return "there is a Last-Modified"
    if pair.ours.header("cache-control") != "no-cache":
        return f"Cache-Control is {pair.ours.header('cache-control')!r}"
    if not pair.ours.header("content-length") and not (pair.mirrored and pair.step and is_list_path(pair.step.path)):
        return "there is no Content-Length"
    return None if pair.ours.header("etag") else "there is no ETag"


_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")


def _file_has_validators(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.header("accept-ranges") != "bytes":
        return "Accept-Ranges is not bytes"
    if pair.ours.status == 206:
        part = _CONTENT_RANGE.match(pair.ours.header("content-range") or "")
        if part is None or pair.ours.body != pair.theirs.body[int(part[1]) : int(part[2]) + 1]:
            return "the part is not that of the file"
    elif pair.ours.status != 200:
        return f"ours answers {pair.ours.status}"
    return None if pair.ours.header("etag") else "there is no ETag"


def _empty_became_absent(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    wrong = [str(mismatch) for mismatch in mismatches.values() if (mismatch.theirs, mismatch.ours) != ("", ABSENT)]
    return "; ".join(wrong) or None


def _newer_standards(pair: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    version = mismatches.get("page:api-version")
    if version is None or version.ours != "1.4":
        return "the API version is not 1.4"
    for mismatch in mismatches.values():
        if mismatch.key.endswith("-metadata") and "sha256" not in str(mismatch.ours) and not pair.mirrored:
            return f"{mismatch.key} is {mismatch.ours!r}"
    if not (pair.ours.header("content-type") or "").endswith("+json"):
        return None
    page = pair.ours.json()
    if "files" in page and not isinstance(page.get("versions"), list):
        return "there is no list of versions"
    if pair.mirrored:
        # What an upstream does not say we do not know.
        return None
    incomplete = [file["filename"] for file in page.get("files", []) if not {"size", "upload-time"} <= file.keys()]
    return f"size or upload-time is missing for {', '.join(incomplete)}" if incomplete else None


def _standard_type(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    allowed = {
        "text/html; charset=UTF-8",
        "application/vnd.pypi.simple.v1+html",
        "application/vnd.pypi.simple.v1+json",
    }
    given = pair.ours.header("content-type")
    return None if given in allowed else f"Content-Type is {given!r}"


def _metadata_served(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.status == 200:
        if pair.theirs.status == 200 and pair.theirs.body != pair.ours.body and not pair.mirrored:
            return "the metadata is not the same"
        return None if pair.ours.header("content-type") else "there is no Content-Type"
    if pair.ours.status == 502 and pair.mirrored:
        return None if pair.ours.body else "ours does not say why"
    reasons = (b"no metadata found", b"no such file", b"existed, deleted")
    return None if any(reason in pair.ours.body for reason in reasons) else f"ours answers {pair.ours.status}"


def _extras_kept(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    kept = [mismatch.ours for mismatch in mismatches.values() if isinstance(mismatch.ours, str)]
    return None if kept else "ours keeps none"


def _escaped(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    return "ours shows the name as markup" if b"<b>" in pair.ours.body else None


def _unchecked_not_kept(pair: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.status in {400, 404}:
        return None if pair.ours.body else "ours does not say why"
    wrong = [str(one) for one in mismatches.values() if (one.key, one.ours) != ("json:/result/modified", ABSENT)]
    return "; ".join(wrong) or None


def _nothing_half_pushed(pair: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    if "status" in mismatches and (pair.theirs.status, pair.ours.status) != (200, 404):
        return f"ours answers {pair.ours.status} where devpi answers {pair.theirs.status}"
    return _nothing_changed(pair, mismatches)


def _anonymous_push_refused(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.status != 401:
        return f"ours answers {pair.ours.status}, not 401"
    if pair.ours.sent:
        return f"ours sent {len(pair.ours.sent)} requests all the same"
    message = "user None cannot push to other servers"
    return None if pair.ours.json() == {"message": message} else f"the answer is not the message {message!r}"


def _unreachable_is_told(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if (pair.theirs.status, pair.ours.status) != (500, 502):
        return f"devpi answers {pair.theirs.status} and ours {pair.ours.status}, not 500 and 502"
    if [request.target for request in pair.ours.sent] != [request.target for request in pair.theirs.sent]:
        return f"ours sent {len(pair.ours.sent)} requests and devpi {len(pair.theirs.sent)}"
    answer = pair.ours.json()
    code, what, path, text = answer["result"][-1]
    good = answer["type"] == "actionlog" and (code, what) == (-1, "upload") and "/+f/" in path and text
    return None if good else f"the last entry is {answer['result'][-1]!r}"


_NEVER_KEPT = re.compile(
    r"/(:action|protocol_version|filetype|pyversion|content|gpg_signature|attestations|[^/]*_digest)(/\d+)?$"
)
_FIELD = re.compile(r"^(?:json:.*/|sent:\d+:field:)([a-z_]+?)(?:/(?P<number>\d+))?$")


def _unknown_kept(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    """The scenarios write the field's name into its values, so that each is known to be the one that was sent."""
    for mismatch in mismatches.values():
        field = _FIELD.match(mismatch.key)
        if mismatch.theirs is not ABSENT or field is None or _NEVER_KEPT.search(mismatch.key):
            return str(mismatch)
        values = mismatch.ours if isinstance(mismatch.ours, tuple) else (mismatch.ours,)
        if not all(str(value).startswith(field[1]) for value in values):
            return f"{mismatch.key} is {mismatch.ours!r}"
    return None


def _links_encoded(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    wrong = [str(mismatch) for mismatch in mismatches.values() if unquote(str(mismatch.ours)) != str(mismatch.theirs)]
    return "; ".join(wrong) or None


def _reason_in_ascii(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    reason = mismatches["reason"]
    wanted = "".join(letter if letter.isascii() else "?" for letter in reason.theirs)
    return None if reason.ours == wanted else f"the reason is {reason.ours!r}, not {wanted!r}"


def _head_has_length(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    return None if pair.ours.header("content-length") and not pair.ours.body else "there is no Content-Length"


def _names_our_version(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    versions = pair.ours.json()["result"]["versioninfo"]
    return None if versions.get("wheelhouse") else "versioninfo does not name wheelhouse"


def _credentials_hidden(pair: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    """In settings stars stand for them; elsewhere they are left out; to the upstream they are sent decoded."""
    for mismatch in mismatches.values():
        if mismatch.key.startswith("upstream:"):
            continue
        if mismatch.key.startswith("page:"):
            # Of a link with credentials devpi makes a path with them; the scenarios have these.
            if str(mismatch.theirs).replace("us_pw_", "") != mismatch.ours:
                return str(mismatch)
            continue
        stars = "*****@" if mismatch.key.endswith("/mirror_url") else ""
        wanted = _USERINFO.sub(f"//{stars}", str(mismatch.theirs))
        if wanted == mismatch.theirs or wanted != mismatch.ours:
            return str(mismatch)
    shown = _USERINFO.findall(pair.ours.text() + str(pair.ours.header("location")))
    return None if set(shown) <= {"//*****@"} else f"ours shows {shown}"


_USERINFO = re.compile(r"//[^/@\s\"]+@")


def _empty_is_missing(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.theirs.status not in {200, 502} or pair.ours.status != 404:
        return f"devpi answers {pair.theirs.status} and ours {pair.ours.status}, not 200 or 502 and 404"
    return None if pair.ours.body else "ours does not say why"


def _asked_all_the_same(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.theirs.status != 404:
        return f"devpi no longer answers 404 but {pair.theirs.status}"
    return None if pair.ours.status in {200, 404, 502} else f"ours answers {pair.ours.status}"


def _stale_or_told(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    # devpi does not look at the version of HTML pages.
    if pair.theirs.status not in {200, 500}:
        return f"devpi no longer answers 500 but {pair.theirs.status}"
    if pair.ours.status == 200:
        return _stale_since(pair, {})
    return _refused(502)(pair, {})


def _stale_since(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    since, reason = pair.ours.header("x-wheelhouse-stale-since"), pair.ours.header("x-wheelhouse-stale-reason")
    if since is not None and not _HTTP_DATE.match(since):
        return f"X-Wheelhouse-Stale-Since is {since!r}"
    return None if reason else "there is no X-Wheelhouse-Stale-Reason"


_HTTP_DATE = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\Z")


def _told_where_devpi_crashes(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.theirs.status != 500:
        return f"devpi no longer answers 500 but {pair.theirs.status}"
    return _refused(404, 502)(pair, {})


def _no_crash_without_url(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.theirs.status != 500:
        return f"devpi no longer answers 500 but {pair.theirs.status}"
    return None if pair.ours.status == 200 else _refused(404, 502)(pair, {})


def _list_remembered(pair: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.status != 200:
        return f"ours answers {pair.ours.status}"
    less = [str(one) for one in mismatches.values() if one.key.startswith("page:project:") and one.ours is ABSENT]
    return "; ".join(less) or None


def _headers_as_later(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.header("cache-control") != "max-age=365000000, immutable, public":
        return f"Cache-Control is {pair.ours.header('cache-control')!r}"
    if not pair.ours.header("etag") and not _is_what_its_path_says(pair):
        # Without a SHA-256 there is none before the content is known.
        return None
    return _file_has_validators(pair, {})


_HASHED_PATH = re.compile(r"/\+f/([^/]{3})/([^/]{13})/")


def _is_what_its_path_says(pair: Pair) -> bool:
    """Whether the path is that of a SHA-256, and it is that of our body."""
    parts = _HASHED_PATH.search(pair.step.path) if pair.step else None
    return parts is not None and hashlib.sha256(pair.ours.body).hexdigest().startswith(parts[1] + parts[2])


def _wrong_is_never_whole(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.status == 200:
        return None if pair.ours.cut or _is_what_its_path_says(pair) else "ours gives a whole file"
    if pair.ours.status != 502:
        return f"ours answers {pair.ours.status}, not 502"
    message = pair.ours.json().get("message", "")
    return None if "mismatch" in message else f"the message is {message!r}"


def _resumed(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    """Ours gives a whole file, unless the upstream never gave a part."""
    asked = pair.ours.asked or ()
    if pair.ours.status == 200 and not pair.ours.cut:
        return None if len(asked) > 1 else "ours did not ask for the rest"
    if any(request.status == 206 for request in asked):
        return "ours gave up though the upstream gives parts"
    return None if pair.ours.cut or pair.ours.status == 502 else f"ours answers {pair.ours.status}"


def _no_download(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    length = pair.ours.header("content-length")
    if pair.theirs.status == 200 and length not in (None, pair.theirs.header("content-length")):
        return f"Content-Length is {length}"
    downloads = [
        request for request in pair.ours.asked or () if (request.method, request.path[:7]) == ("GET", "/files/")
    ]
    return "ours downloads the file" if downloads else None


def _no_files_of_quarantined(pair: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    if pair.ours.status == 403:
        return None if pair.ours.body else "ours does not say why"
    shown = [str(one) for one in mismatches.values() if one.key.startswith("page:file:") and one.ours is not ABSENT]
    return "; ".join(shown) or None


def _hashes_relayed(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    for mismatch in mismatches.values():
        theirs, ours = mismatch.theirs, mismatch.ours
        if isinstance(theirs, dict) and isinstance(ours, dict) and not theirs.items() <= ours.items():
            return str(mismatch)
    return None


def _is_read(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    return None if pair.ours.status == 200 else f"ours answers {pair.ours.status}"


def _deleted_alone(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    """Ours deletes a file with its link, and nothing else; the scenarios say what is left."""
    return None if pair.ours.status in {200, 404} else f"ours answers {pair.ours.status}"


def _not_asked_again(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    return "ours asks as well" if pair.ours.asked else None


def _new_place_at_once(pair: Pair, _: Mapping[str, Mismatch]) -> str | None:
    """Ours asks the new upstream at once, and not with what it has from the old one."""
    if any(request.header("if-none-match") for request in pair.ours.asked or ()):
        return "ours asks with a validator of the old place"
    return None if pair.ours.status in {200, 404} else f"ours answers {pair.ours.status}"


def _yanked_or_not(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    """An attribute without a value is a yes; an empty reason in JSON is a no, as it is to installers."""
    wrong = [
        str(one) for one in mismatches.values() if one.theirs not in ("", ABSENT) or one.ours not in (True, "", ABSENT)
    ]
    return "; ".join(wrong) or None


def _no_forms(_: Pair, mismatches: Mapping[str, Mismatch]) -> str | None:
    wrong = [str(mismatch) for mismatch in mismatches.values() if mismatch.ours]
    return "; ".join(wrong) or None


def is_list_path(path: str) -> bool:
    """Whether a path is that of a project list or an index."""
    segments = path.partition("?")[0].strip("/").split("/")
    return segments[-1] == "+simple" or len(segments) == 2


def _names(value: str | None) -> set[str]:
    return {name.strip().lower() for name in (value or "").split(",")} - {""}


STANDING: tuple[str, ...]
"""The ids of the differences that may occur at any step."""

_ANSWER = ("status", "reason", "serial", "header:*", "json:*", "body", "detail")
_ANSWER_WITH_PAGE = (*_ANSWER, "page:*")

DIFFERENCES: dict[str, Difference] = {
    difference.id: difference
    for difference in (
        Difference("no-half-changes", ("serial", "json:*", "page:*"), _nothing_changed),
        Difference("push-atomic", _ANSWER_WITH_PAGE, _nothing_half_pushed),
        Difference("anonymous-push", (*_ANSWER, "sent*"), _anonymous_push_refused),
        Difference("push-unreachable", _ANSWER, _unreachable_is_told),
        Difference("unknown-fields", ("json:*", "sent:*:field:*"), _unknown_kept),
        Difference("server-errors", (*_ANSWER, "upstream:*"), _crash_is_refused),
        Difference(
            "mirror-credentials",
            ("json:*mirror_url", "header:location", "body", "page:file:*:url", "upstream:*:authorization"),
            _credentials_hidden,
        ),
        Difference("mirror-missing-page", _ANSWER_WITH_PAGE, _empty_is_missing),
        Difference("mirror-unlisted", (*_ANSWER_WITH_PAGE, "upstream:*"), _asked_all_the_same),
        Difference("mirror-broken-page", _ANSWER_WITH_PAGE, _stale_or_told),
        Difference("mirror-stale-header", ("header:x-wheelhouse-stale-*",), _stale_since),
        Difference("mirror-list-stale", _ANSWER_WITH_PAGE, _list_remembered),
        Difference("mirror-refresh-error", _ANSWER, _told_where_devpi_crashes),
        Difference("mirror-refresh-form", ("page:forms", "page:notes"), _no_forms),
        Difference("mirror-no-url", _ANSWER_WITH_PAGE, _no_crash_without_url),
        Difference("mirror-first-download", ("header:*",), _headers_as_later),
        Difference("mirror-wrong-hash", (*_ANSWER, "cut", "upstream:*"), _wrong_is_never_whole),
        Difference("mirror-resume", (*_ANSWER, "cut", "upstream:*"), _resumed),
        Difference("mirror-head", (*_ANSWER, "upstream:*"), _no_download),
        Difference("mirror-quarantine", (*_ANSWER_WITH_PAGE, "upstream:*"), _no_files_of_quarantined),
        Difference("mirror-all-hashes", ("page:file:*:hashes", "json:*hashes*"), _hashes_relayed),
        Difference("mirror-lenient-pages", _ANSWER_WITH_PAGE, _is_read),
        Difference("mirror-deleted-files", (*_ANSWER_WITH_PAGE, "upstream:*"), _deleted_alone),
        Difference("mirror-never-read", _ANSWER, _refused(404)),
        Difference("mirror-no-names", (*_ANSWER, "upstream:*"), _refused(502)),
        Difference("mirror-restart", ("upstream:*",), _not_asked_again),
        Difference("mirror-moved", (*_ANSWER_WITH_PAGE, "upstream:*"), _new_place_at_once),
        Difference("mirror-yanked-empty", ("page:file:*yanked", "json:*/yanked"), _yanked_or_not),
        Difference(
            "simple-1.4",
            (
                "page:api-version",
                "page:key:*",
                "page:file:*:size",
                "page:file:*:upload-time",
                "page:file:*-metadata",
                "page:file:*:provenance",
                "page:file:*:data-provenance",
                "page:file:*gpg-sig",
            ),
            _newer_standards,
        ),
        Difference("requires-python-empty", ("page:file:*requires-python",), _empty_became_absent),
        Difference("simple-content-type", ("header:content-type", "page:*"), _standard_type),
        Difference(
            "page-caching",
            (
                "header:vary",
                "header:cache-control",
                "header:etag",
                "header:last-modified",
                "header:pragma",
                "header:expires",
            ),
            _more_vary,
        ),
        Difference(
            "file-validators",
            ("status", "reason", "body", "header:content-length", "header:etag", "header:accept-ranges"),
            _file_has_validators,
        ),
        Difference("core-metadata-on", (*_ANSWER, "upstream:*"), _metadata_served),
        Difference("upload-digests", _ANSWER, _refused(400)),
        Difference("broken-zip", _ANSWER, _refused(400)),
        Difference("provides-extra", ("json:*/provides_extras*",), _extras_kept),
        Difference(
            "status-fields",
            ("json:/result/versioninfo/*", "json:/result/metrics*", "json:/result/server-code"),
            _names_our_version,
        ),
        Difference("server-header", ("header:server",)),
        Difference("error-texts-internals", ("json:/message", "body"), _same_words_before_the_inside),
        Difference("error-html-escaped", ("body",), _escaped),
        Difference("user-unvalidated", _ANSWER, _unchecked_not_kept),
        Difference("links-encoded", ("page:file:*:href", "page:file:*:url"), _links_encoded, standing=True),
        Difference("head-length", ("header:content-length",), _head_has_length),
        Difference("reason-ascii", ("reason",), _reason_in_ascii),
        Difference("prefix-strip", _ANSWER),
        Difference("bases-once", ("page:headings", "json:*+shadowing*"), _each_base_once),
        Difference("push-onto-itself", _ANSWER, _pushed_where_devpi_crashes),
        Difference("requires-python-current", ("page:file:*requires-python",)),
        Difference("noop-normalised", _ANSWER, _refused(400)),
        Difference("json-strict", _ANSWER, _refused(400)),
        Difference("outside-url-encoding", ("json:*",), _encoded_once),
        Difference("pwhash-invalid", _ANSWER, _refused(400)),
    )
}

STANDING = tuple(difference.id for difference in DIFFERENCES.values() if difference.standing)
