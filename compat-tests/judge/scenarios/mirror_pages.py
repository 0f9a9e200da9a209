"""How mirrors read pages and lists of all kinds, and what they make of them."""

from __future__ import annotations

from typing import Any

from upstream import OMITTED, File, Project

from ..distributions import archive, wheel
from ..steps import (
    PIP,
    SIMPLE_JSON,
    Act,
    Scenario,
    Step,
    answer_at,
    configure,
    get,
    mirrored_json_page,
    mirrored_list,
    mirrored_page,
    mirrored_pip_page,
    publish,
    read_json,
    redirect,
)
from .mirror_data import EVERY_REQUEST, IMPATIENT, LONG, TIMEOUT, alice, expiry, hashed, mirror, release

M = "/alice/m"
ALL_HASHES, YANKED = "mirror-all-hashes", "mirror-yanked-empty"
LENIENT = "mirror-lenient-pages"
HTML_TYPE = "text/html; charset=utf-8"


def simple(name: str) -> str:
    """The page of a project on the mirror."""
    return f"{M}/+simple/{name}/"


def _all_views(name: str, *, difference: str = "", in_json: str = "") -> list[Step]:
    """A page for people, for pip, and in JSON; with differences of all, and of the last."""
    ids = [difference] if difference else []
    return [
        mirrored_page(f"{name}, for people", simple(name), difference=ids),
        mirrored_pip_page(f"{name}, for pip", simple(name), difference=ids),
        mirrored_json_page(f"{name}, in json", simple(name), difference=[*ids, *([in_json] if in_json else [])]),
    ]


def _html(name: str, *anchors: str, head: str = "") -> Act:
    """A page written by hand; the project list has it too."""
    body = "\n".join(f"{anchor}<br>" for anchor in anchors)
    page = f"<html><head>{head}</head><body>{body}</body></html>"
    return _listed(name, answer_at(f"/simple/{name}/", page, HTML_TYPE))


def _json(name: str, text: str, content_type: str = SIMPLE_JSON) -> Act:
    """The same in JSON."""
    return _listed(name, answer_at(f"/simple/{name}/", text, content_type))


def _listed(name: str, act: Act) -> Act:
    def do(upstream: Any) -> None:
        upstream.add(Project(name))
        assert act.upstream is not None
        act.upstream(upstream)

    return Act(act.about, do)


# Pages as they ought to be

EVERYTHING = [
    File(
        "every_thing-2.0-py3-none-any.whl",
        wheel("every_thing", "2.0"),
        requires_python=">=3.8,<4",
        metadata=b"Metadata-Version: 2.1\nName: every_thing\nVersion: 2.0\n",
        provenance=b'{"version": 1, "attestation_bundles": []}',
        gpg_sig=False,
    ),
    release("every-thing", "2.0", requires_python=">=3.8"),
    release("every-thing", "1.0", yanked=True),
    release("every-thing", "0.9", yanked='too "old" & <slow>'),
    File("every-thing-0.8.zip", archive(every="0.8"), hashes=("sha512", "sha256", "md5")),
    File("every-thing-0.7.zip", archive(every="0.7"), hashes=("md5",)),
    File("every-thing-0.6.zip", archive(every="0.6"), hashes=("blake2b", "sha1")),
    File("every-thing-0.5.zip", archive(every="0.5"), hashes=()),
    File("every-thing-0.4.zip", archive(every="0.4"), size=OMITTED, upload_time=OMITTED, requires_python=""),
    File("every_thing-0.3-py3-none-any.whl", wheel("every_thing", "0.3"), core_metadata=True, metadata=b"m"),
    File("every_thing-0.2-py3-none-any.whl", wheel("every_thing", "0.2"), core_metadata=False),
]

QUARANTINED = release("quarantined", "1.0")

_COMPLETE = [
    *_all_views("every-thing", in_json=YANKED),
    mirrored_json_page(
        "everything in json",
        simple("json-thing"),
        difference=[ALL_HASHES, "requires-python-empty"],
        ours={
            "page:key:versions": ["2.0", "1.0", "0.9", "0.8", "0.7", "0.6", "0.5", "0.4", "0.3", "0.2"],
            "page:file:every-thing-1.0.tar.gz:size": 22,
            "page:file:every-thing-1.0.tar.gz:upload-time": "2019-01-01T00:00:00Z",
            "page:file:every-thing-0.4.zip:size": None,
        },
    ),
    mirrored_page("everything in json, for people", simple("json-thing"), difference="requires-python-empty"),
    mirrored_pip_page("everything in json, for pip", simple("json-thing"), difference="requires-python-empty"),
    *_all_views("archived"),
    mirrored_pip_page(
        "a status in html", simple("archived"), ours={"page:key:project-status": "archived"}
    ),
    mirrored_json_page(
        "a status in json", simple("archived-json"), ours={
            "page:key:project-status": {"status": "archived", "reason": "<done>"}
        }
    ),
    mirrored_json_page("a deprecated project", simple("deprecated")),
    *_all_views("negotiated"),
    *_all_views("quarantined", difference="mirror-quarantine"),
    read_json("versions of a quarantined project", f"{M}/quarantined", difference="mirror-quarantine"),
    get("a file of a quarantined project", hashed(M, QUARANTINED), difference="mirror-quarantine", our_status=403),
]  # fmt: skip

# Types and codings

_TYPES = [
    mirrored_json_page("json with a charset", simple("charset"), difference=LENIENT),
    mirrored_json_page("json of a later minor version", simple("minor"), ours={"page:api-version": "1.4"}),
    mirrored_json_page("json without a version", simple("no-version")),
    mirrored_json_page("html of a later minor version", simple("html-minor"), ours={"page:api-version": "1.4"}),
    get(
        "html of another major version",
        simple("html-major"),
        page="installer",
        accept=SIMPLE_JSON,
        difference="mirror-broken-page",
        our_status=502,
    ),
    mirrored_json_page("the html type", simple("html-type")),
    mirrored_json_page("no type at all", simple("no-type")),
    mirrored_json_page("a type in capitals", simple("capitals"), difference=LENIENT),
    mirrored_json_page("json as application/json", simple("plain-json"), difference=LENIENT),
    mirrored_json_page("compressed", simple("compressed")),
    mirrored_json_page("invalid utf-8", simple("latin")),
    mirrored_json_page("a byte order mark", simple("bom")),
    mirrored_json_page("xhtml", simple("xhtml")),
    mirrored_json_page("no body element", simple("bare")),
    mirrored_json_page("an empty body", simple("nothing")),
    mirrored_json_page("no links", simple("no-links")),
]

_TYPE_ACTS = [
    publish(
        Project("charset", [release("charset", "1.0")], format="json", content_type=f"{SIMPLE_JSON}; charset=utf-8"),
        Project("minor", [release("minor", "1.0")], format="json", api_version="1.99", keys={"later": 1}),
        Project("no-version", [release("no-version", "1.0")], format="json", api_version=None),
        Project("html-minor", [release("html-minor", "1.0")], api_version="1.99"),
        Project("html-major", [release("html-major", "1.0")], api_version="2.0"),
        Project("html-type", [release("html-type", "1.0")], content_type="application/vnd.pypi.simple.v1+html"),
        Project("no-type", [release("no-type", "1.0")], content_type="binary/octet-stream"),
        Project("capitals", [release("capitals", "1.0")], format="json", content_type=SIMPLE_JSON.upper()),
        Project("plain-json", [release("plain-json", "1.0")], format="json", content_type="application/json"),
        Project("compressed", [release("compressed", "1.0")], gzip=True),
        Project("no-links"),
    ),
    _listed("latin", answer_at("/simple/latin/", b'\xe4\xff<a href="latin-1.0.zip">\xfc</a>', "text/html")),
    _listed("bom", answer_at("/simple/bom/", b'\xef\xbb\xbf<!DOCTYPE html><a href="bom-1.0.zip">x</a>', HTML_TYPE)),
    _listed(
        "xhtml",
        answer_at(
            "/simple/xhtml/",
            '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>'
            '<a href="xhtml-1.0.zip" /></body></html>',
            "application/xhtml+xml",
        ),
    ),
    _listed("bare", answer_at("/simple/bare/", '<a href="bare-1.0.zip">', HTML_TYPE)),
    _listed("nothing", answer_at("/simple/nothing/", "", HTML_TYPE)),
]

# Links of all kinds

_LINK_ACTS = [
    _html(
        "links",
        '<a href="links-1.0.zip">relative to the page</a>',
        '<a href="../links-1.1.zip">one up</a>',
        '<a href="/files/links-1.2.zip">from the root</a>',
        '<a href="//{other}/files/links-1.3.zip">of the same scheme</a>',
        '<a href="http://{other}/a%20b/c/links-1.4.zip?token=1&amp;x=2">with a query</a>',
        '<a href="https://other.example:8080/a%20b/c/links-1.5.tar.gz">of another host</a>',
        '<a href="ftp://{host}/files/links-1.7.zip">by ftp</a>',
        '<a href="./x/../links-1.8.zip">with dots</a>',
        '<a href="../../files/links-1.9%2Blocal.tar.gz">a local version</a>',
        '<a href="../../files/links-2.0+local.tar.gz">a plain plus</a>',
        '<a href="../../files/links-2.1%20b.zip">a blank</a>',
        "<a href='links-2.3.zip'>single quotes</a>",
        "<a href=links-2.4.zip>no quotes</a>",
        '<A HREF="links-2.5.zip">capitals</A>',
        '<a class="x" href="links-2.6.zip" rel="internal">attributes</a>',
        '<a name="x">no href</a>',
        '<a href="">empty</a>',
        '<a href="#x">only a fragment</a>',
        '<a href="../">up</a>',
        '<a\n href="links-3.0.zip"\n>broken lines</a>',
        '<!-- <a href="links-3.1.zip">a comment</a> -->',
        '<a href="links-3.2.zip"><b>marked</b> up</a>',
        '<a href="links-3.6.zip" data-requires-python="&gt;=3.8" data-yanked="a &lt;b&gt; &amp; c">escaped</a>',
        '<a href="links-3.7.zip" data-requires-python=">=3.8" data-yanked="a <b>">not escaped</a>',
        '<link href="links-3.9.zip">',
        '<area href="links-4.0.zip">',
    ),
    _html(
        "odd-links",
        '<a href=" odd-links-1.0.zip ">blanks around</a>',
        '<a href="odd-links-2.0.zip" href="odd-links-3.0.zip">two</a>',
        '<a href="\u00e4/odd-links-7.0.zip">not ascii</a>',
        '<a href="/a/odd-links-4.0.zip#sha256=xyz">no hash</a>',
        '<a href="/a/odd-links-5.0.zip#sha256=ABCDEF' + "0" * 58 + '">capitals</a>',
        '<a href="/a/odd-links-6.0.zip#SHA256=' + "f" * 64 + '">a name in capitals</a>',
    ),
    _html(
        "yanked",
        '<a href="yanked-1.0.zip" data-requires-python="" data-yanked="">empty values</a>',
        '<a href="yanked-2.0.zip" data-requires-python data-yanked>no values</a>',
        '<a href="yanked-3.0.zip" data-yanked=" ">a blank</a>',
    ),
    _html("secret-link", '<a href="http://us:pw@{host}/files/secret-link-1.0.zip">x</a>'),
    _html("two-fragments", '<a href="two-fragments-1.0.zip#sha256=' + "a" * 64 + '&amp;egg=x">x</a>'),
    _html("broken-host", '<a href="http://[bad/broken-host-1.0.zip">x</a><a href="broken-host-2.0.zip">y</a>'),
    _html("broken-port", '<a href="http://{host}1/broken-port-1.0.zip">x</a><a href="broken-port-2.0.zip">y</a>'),
    _html(
        "kinds",
        *(
            f'<a href="/files/kinds-{number}.0{ending}">x</a>'
            for number, ending in enumerate(
                (
                    ".deb", ".dmg", ".doc.zip", "-py3.9.egg", ".exe", ".msi", ".rpm", ".tar", ".tar.bz2", ".tar.gz",
                    ".tgz", "-py3-none-any.whl", ".zip", ".tar.xz", ".tar.Z", ".tar.lzma", ".zip.asc",
                    ".zip.metadata", ".txt",
                    ".TAR.GZ", ".ZIP", "", ".7z", ".win32.exe", ".zip.sig",
                ),
                10,
            )
        ),
        '<a href="/files/Kinds-1.0.zip">a capital</a>',
        '<a href="/files/kinds_docs-1.0.zip">another project</a>',
        '<a href="/files/kindsmore-1.0.zip">a longer name</a>',
        '<a href="/files/other-1.0.zip">a foreign name</a>',
        '<a href="/files/kinds.zip">no version</a>',
        '<a href="/files/kinds-dev.zip">a word for a version</a>',
        '<a href="/files/kinds-1.0.post1.dev2%2Ba.zip">a long version</a>',
    ),  # fmt: skip
    _html(
        "doubles",
        '<a href="/a/doubles-1.0.zip">first without a hash</a>',
        '<a href="/b/doubles-1.0.zip#sha256=' + "b" * 64 + '">then with one</a>',
        '<a href="/c/doubles-1.0.zip#sha256=' + "c" * 64 + '">then with another</a>',
        '<a href="/a/doubles-2.0.zip#md5=' + "a" * 32 + '">first with md5</a>',
        '<a href="/b/doubles-2.0.zip#sha256=' + "d" * 64 + '">then with sha256</a>',
        '<a href="/a/doubles-3.0.zip">without anything</a>',
        '<a href="/b/doubles-3.0.zip" data-requires-python="&gt;=3">with a version of python</a>',
        '<a href="/a/doubles-4.0.zip">once</a>',
        '<a href="/b/doubles-4.0.zip">twice</a>',
        '<a href="/a/doubles-5.0.zip#egg=doubles">an egg fragment</a>',
        '<a href="/a/doubles-6.0.zip#crc32=abcd">an unknown hash</a>',
        '<a href="/a/doubles-9.0.zip#sha512=' + "e" * 128 + '">sha512</a>',
    ),
    _html("based", '<a href="based-1.0.zip">x</a>', head='<base href="http://{other}/b/">'),
    _html("based-relative", '<a href="based-relative-1.0.zip">x</a>', head='<base href="../../b/">'),
    _html(
        "based-twice",
        '<a href="based-twice-1.0.zip">x</a>',
        head='<BASE HREF="http://{host}/first/"><base href="http://{host}/second/">',
    ),
    _html("based-late", '<a href="based-late-1.0.zip">x</a>', '<base href="http://{host}/late/">'),
    publish(
        Project("absolute", [release("absolute", "1.0", hashes=())], links="absolute"),
        Project("elsewhere", [release("elsewhere", "1.0", hashes=())], links="other"),
    ),
    *(
        _listed(name, redirect(f"/simple/{name}/", location))
        for name, location in {
            "moved": "/moved/moved/",
            "moved-away": "http://{other}/moved/moved-away/",
            "moved-twice": "/moved/once/",
            "moved-relative": "../../moved/moved-relative/",
        }.items()
    ),
    *(
        answer_at(f"/moved/{name}/", f'<a href="{name}-1.0.zip">x</a>', HTML_TYPE)
        for name in ("moved", "moved-away", "moved-twice", "moved-relative")
    ),
    redirect("/moved/once/", "/moved/moved-twice/"),
]  # fmt: skip

_LINKS = [
    *(mirrored_json_page(f"links: {name}", simple(name)) for name in ("links", "kinds", "doubles")),
    mirrored_json_page("a broken host in a link", simple("broken-host")),
    read_json(
        "two fragments in a link", simple("two-fragments"), 500, difference="mirror-lenient-pages", our_status=200
    ),
    mirrored_json_page("a broken port in a link", simple("broken-port")),
    mirrored_json_page("credentials in a link", simple("secret-link"), difference="mirror-credentials"),
    mirrored_json_page("odd links", simple("odd-links"), difference=LENIENT),
    mirrored_json_page("yanked without a reason", simple("yanked"), difference=YANKED),
    mirrored_pip_page("yanked without a reason, for pip", simple("yanked"), difference=YANKED),
    *(mirrored_page(f"links for people: {name}", simple(name)) for name in ("kinds", "doubles")),
    *(mirrored_json_page(f"a base: {name}", simple(name)) for name in ("based", "based-twice", "based-late")),
    mirrored_json_page(
        "a base: based-relative",
        simple("based-relative"),
        difference="mirror-lenient-pages",
        ours={"page:file:based-relative-1.0.zip:url": "../../+e/http_upstream.example_b/based-relative-1.0.zip"},
    ),
    mirrored_json_page("absolute links", simple("absolute")),
    mirrored_json_page("links to another host", simple("elsewhere")),
    *(mirrored_json_page(f"a redirect: {name}", simple(name)) for name in ("moved", "moved-away", "moved-twice")),
    mirrored_json_page("a redirect: moved-relative", simple("moved-relative")),
]

# Odd JSON

_ODD_JSON = {
    "filenames": '{"meta":{"api-version":"1.0"},"name":"filenames","files":['
    '{"filename":"other-9.9.zip","url":"/files/filenames-1.0.zip","hashes":{}},'
    '{"filename":"filenames-2.0.zip","url":"/files/download?id=2","hashes":{}},'
    '{"filename":"filenames-3.0.tar.xz","url":"/files/filenames-3.0.tar.xz","hashes":{}},'
    '{"filename":"foreign-1.0.txt","url":"/files/foreign-1.0.txt","hashes":{}},'
    '{"filename":"filenames-4.0.zip","url":"/a/filenames-4.0.zip","hashes":{}},'
    '{"filename":"filenames-4.0.zip","url":"/b/filenames-4.0.zip","hashes":{}}]}',
    "values": '{"meta":{"api-version":"1.1"},"name":"something-else","files":['
    '{"filename":"values-1.0.zip","url":"values-1.0.zip","hashes":{},"yanked":null,"requires-python":null},'
    '{"filename":"values-2.0.zip","url":"values-2.0.zip","hashes":{},"yanked":"","requires-python":""},'
    '{"filename":"values-3.0.zip","url":"values-3.0.zip","hashes":{},"yanked":true,"size":3,"later":{"a":1}}]}',
    "fragments": '{"meta":{"api-version":"1.1"},"name":"fragments","files":['
    '{"filename":"fragments-4.0.zip","url":"fragments-4.0.zip#sha256=' + "a" * 64 + '","hashes":{}}]}',
    "unicode": '{"meta":{"api-version":"1.0"},"name":"unicode","files":['
    '{"filename":"unicode-1.0.zip","url":"unicode-1.0.zip",'
    '"hashes":{},"yanked":"\\u00e4 \u4e2d"}]}',
}

_JSON_STEPS = [
    mirrored_json_page(
        f"odd json: {name}", simple(name), difference=["requires-python-empty", YANKED] if name == "values" else ()
    )
    for name in _ODD_JSON
]

# What is remembered

_REMEMBERED = [
    mirrored_json_page("a page with a serial", simple("serial")),
    mirrored_json_page("unchanged: 304", simple("serial")),
    expiry(M, LONG),
    mirrored_json_page("fresh: no request", simple("serial")),
    mirrored_pip_page("fresh for pip: no request", simple("serial")),
    mirrored_json_page(
        "fresh though there is more",
        simple("serial"),
        before=publish(Project("serial", [release("serial", "1.0"), release("serial", "2.0")], serial=8)),
    ),
    expiry(M, EVERY_REQUEST),
    mirrored_json_page("expired: what is more", simple("serial")),
    mirrored_json_page(
        "a link is gone, another is yanked",
        simple("serial"),
        before=publish(Project("serial", [release("serial", "2.0", yanked="bad")], serial=9)),
    ),
    mirrored_json_page(
        "a lower serial",
        simple("serial"),
        stale=True,
        before=publish(Project("serial", [release("serial", "3.0")], serial=4)),
    ),
    mirrored_json_page("no serial", simple("serial"), stale=True, before=publish(Project("serial", [], serial=None))),
    configure(M, "mirror_ignore_serial_header=yes"),
    mirrored_json_page(
        "a lower serial that is ignored",
        simple("serial"),
        also=[],
        before=publish(Project("serial", [release("serial", "3.0")], serial=4)),
    ),
    mirrored_json_page(
        "no links any more", simple("serial"), also=[], before=publish(Project("serial", [], serial=5, etag=None))
    ),
    configure(M, "mirror_ignore_serial_header=no"),
    mirrored_json_page("a serial that is no number", simple("odd-serial")),
    mirrored_json_page("no etag", simple("no-etag")),
    mirrored_json_page("no etag again", simple("no-etag")),
]

# Names and lists

_NAMES = [
    get("an unnormalised name", f"{M}/+simple/Every_Thing/", 302),
    get("an unnormalised name for pip", f"{M}/+simple/Every_Thing/", 302, agent=PIP),
    get("an unnormalised name in json", f"{M}/+simple/every.thing/", 302, accept=SIMPLE_JSON),
    get("an unnormalised name without a slash", f"{M}/+simple/Every_Thing", 302),
    get("no slash", f"{M}/+simple/every-thing", 302),
    mirrored_pip_page("no slash for pip", f"{M}/+simple/every-thing"),
    mirrored_pip_page("the index route for pip", f"{M}/every-thing", agent=PIP),
    get("a name with blanks", f"{M}/+simple/every%20thing/", 302),
    get("a name that is not ascii", f"{M}/+simple/n%C3%A4/", 400),
    get("a name of dots", f"{M}/+simple/.../", 302),
    mirrored_json_page("by head", simple("every-thing"), method="HEAD", mirrored=True),
    mirrored_json_page("by post", simple("every-thing"), method="POST", difference=YANKED),
    get("not listed and not there", f"{M}/+simple/nope/", 404, difference="mirror-unlisted"),
    read_json("not listed, but there", f"{M}/+simple/unlisted/", 404, difference="mirror-unlisted", our_status=200),
    mirrored_list("the list", f"{M}/+simple/"),
    mirrored_list("the list for pip", f"{M}/+simple/", agent=PIP, audience="installer"),
    mirrored_list("the list in json", f"{M}/+simple/", accept=SIMPLE_JSON, audience="installer"),
    get("no slash after the list", f"{M}/+simple", 302),
    read_json("not listed, and the list is known", f"{M}/+simple/unlisted/", 404, difference="mirror-unlisted"),
    expiry(M, LONG),
    mirrored_list("the list is read", f"{M}/+simple/", accept=SIMPLE_JSON, audience="installer"),
    mirrored_list("the list is fresh", f"{M}/+simple/", accept=SIMPLE_JSON, audience="installer"),
    read_json("not in a fresh list", f"{M}/+simple/unlisted-too/", 404),
    read_json("neither in a fresh list nor there", f"{M}/+simple/nope/", 404),
    expiry(M, EVERY_REQUEST),
]

_LIST_BODIES: dict[str, tuple[bytes | str, str]] = {
    "a list in json": ('{"meta":{"api-version":"1.0"},"projects":[{"name":"Aa_B"},{"name":"c"}]}', SIMPLE_JSON),
    "a list in json with a charset": (
        '{"meta":{"api-version":"1.0"},"projects":[{"name":"d"}]}', f"{SIMPLE_JSON}; charset=utf-8"
    ),
    "a list that only looks like json": ('{"meta":{},"projects":[{"name":"e"}]}', HTML_TYPE),
    "a list with blanks before": (' {"meta":{},"projects":[{"name":"e"}]}', HTML_TYPE),
    "a list of links without words": ('<a href="k/"> </a><a href="l"> </a><a href="m">m</a>', HTML_TYPE),
    "a list in html": (
        '<a href="/simple/f/">F_F</a><a href="g/">g</a><a href="../simple/h/"></a>'
        '<a href="http://{host}/simple/i/">i</a>'
        '<a href="http://{host}/other/j/"></a><a href="http://{other}/simple/k/">k</a><a>m</a>'
        '<a href="n/">N &amp; n</a><a href="o/">o</a><a href="o/">O</a><a href="ftp://{host}/simple/p/">p</a>'
        '<a href="q.q/">q\n</a><a href="https://{host}/simple/r/"></a><a href="/simple/s/t/"></a>',
        HTML_TYPE,
    ),
    "an empty list": ("<html></html>", HTML_TYPE),
    "a list of doubles": (
        '{"meta":{"api-version":"1.0"},"projects":[{"name":"A"},{"name":"a"},{"name":"a."}]}', SIMPLE_JSON
    ),
}  # fmt: skip

_LENIENT_LISTS = ("a list with blanks before", "a list of links without words")

_LISTS = [
    *(
        mirrored_list(
            name,
            "/alice/lists/+simple/",
            accept=SIMPLE_JSON,
            audience="installer",
            before=answer_at("/simple/", body, content_type),
            difference=LENIENT if name in _LENIENT_LISTS else (),
        )
        for name, (body, content_type) in _LIST_BODIES.items()
    ),
    mirrored_list(
        "a list that has moved",
        "/alice/lists/+simple/",
        before=[redirect("/simple/", "/moved/"), answer_at("/moved/", '<a href="/moved/u/">u</a>', HTML_TYPE)],
    ),
    read_json("a list that has moved, as a record", "/alice/lists"),
]

MIRROR_PAGES = Scenario(
    "mirror-pages",
    "pages and lists that mirrors read",
    [
        alice(),
        mirror(M),
        mirror("/alice/lists"),
        *_COMPLETE,
        *_TYPES,
        *_LINKS,
        *_JSON_STEPS,
        *_REMEMBERED,
        *_NAMES,
        *_LISTS,
    ],
    {"alice": "pw2"},
    TIMEOUT,
    IMPATIENT,
    upstream=(
        publish(
            Project("every-thing", EVERYTHING),
            Project(
                "json-thing",
                EVERYTHING,
                format="json",
                versions=[f"{n / 10}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 20)],
            ),
            Project("archived", [release("archived", "1.0")], status="archived", status_reason="<done>"),
            Project(
                "archived-json",
                [release("archived-json", "1.0")],
                format="json",
                status="archived",
                status_reason="<done>",
            ),
            Project("deprecated", [release("deprecated", "1.0")], format="json", status="deprecated"),
            Project("quarantined", [QUARANTINED], format="json", status="quarantined"),
            Project("negotiated", [release("negotiated", "1.0")], format="negotiated"),
            Project("serial", [release("serial", "1.0")], serial=7),
            Project("odd-serial", [release("odd-serial", "1.0")], serial="x"),
            Project("no-etag", [release("no-etag", "1.0")], etag=None),
            Project("unlisted", [release("unlisted", "1.0")], listed=False),
            Project("unlisted-too", [release("unlisted-too", "1.0")], listed=False),
        ),
        *_TYPE_ACTS,
        *_LINK_ACTS,
        *(_json(name, text) for name, text in _ODD_JSON.items()),
    ),
)  # fmt: skip
