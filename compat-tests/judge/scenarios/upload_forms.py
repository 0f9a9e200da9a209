"""File names, versions, metadata keys, and forms as different clients write them."""

from __future__ import annotations

from ..distributions import archive, wheel
from ..steps import (
    ANYTHING,
    HTML,
    JSON,
    Form,
    Scenario,
    Step,
    get,
    index,
    json_page,
    metadata_form,
    page,
    post,
    push,
    read_json,
    upload,
    user,
)


def _twine_like() -> bytes:
    """A form as twine sends it: shuffled fields, parts with lengths."""
    fields = [
        ("metadata_version", "2.4"),
        ("version", "3.0"),
        ("name", "shapes"),
        ("protocol_version", "1"),
        ("dynamic", "classifiers"),
        (":action", "file_upload"),
        ("provides_extras", "a"),
        ("filetype", "sdist"),
        ("keywords", "k1,k2"),
    ]
    body = b"".join(
        f'--twine\r\nContent-Disposition: form-data; name="{name}"\r\n'
        f"Content-Length: {len(value)}\r\n\r\n{value}\r\n".encode()
        for name, value in fields
    )
    return (
        body + b'--twine\r\nContent-Disposition: form-data; name="content"; filename="shapes-3.0.tar.gz"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\ntwine\r\n--twine--\r\n"
    )


_DISTUTILS = (
    b'\r\n--d\r\nContent-Disposition: form-data; name="name"\r\n\r\nshapes\r\n'
    b'--d\r\nContent-Disposition: form-data; name="version"\r\n\r\n1.0\r\n'
    b'--d\r\nContent-Disposition: form-data; name="description"\r\n\r\nline one\nline two\r\n'
    b'--d\r\nContent-Disposition: form-data; name=":action"\r\n\r\nfile_upload\r\n'
    b'--d\r\nContent-Disposition: form-data; name="content";filename="shapes-1.0.tar.gz"\r\n\r\nold\r\n'
    b"--d--\r\n"
)


def _raw(name: str, body: bytes, boundary: str, status: int = 200) -> Step:
    """An upload whose form is written by hand."""
    return post(
        name,
        "/alice/dev/",
        status,
        body,
        as_user="alice",
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )


UNKNOWN = "unknown-fields"

_LONG = "line one\nline two\n        <b>&amp;\u00e4\u4e2d</b>\n" * 40

# Each value begins with its field's name, by which the judge knows that it was kept as sent.
_NEWER = (
    ("import_name", "import_name a"),
    ("import_name", "import_name b ; private"),
    ("import_namespace", "import_namespace a"),
    ("from_tomorrow", "from_tomorrow \u00e4\u4e2d\r\n  more "),
    ("twice", "twice 1"),
    ("twice", "twice 2"),
    ("license_files", "license_files LICENSE"),
    ("unknown_unknown", "unknown_unknown UNKNOWN"),
)
_TRANSPORT = (
    ("protocol_version", "1"),
    ("filetype", "sdist"),
    ("pyversion", "source"),
    ("gpg_signature", "x"),
    ("attestations", "[]"),
)

_UNKNOWN_FIELDS = [
    index("/alice/newer"),
    upload("fields of newer metadata", "/alice/newer", 200, "newer", "1", "newer-1.tar.gz", b"1", *_NEWER, *_TRANSPORT),
    read_json("they are kept", "/alice/newer/newer/1", difference=UNKNOWN),
    read_json("they are kept for the project", "/alice/newer/newer", difference=UNKNOWN),
    upload("a second file without them", "/alice/newer", 200, "newer", "1", "newer-1.zip", archive(n="1")),
    read_json("they are kept beside the second file", "/alice/newer/newer/1", difference=UNKNOWN),
    upload("a third file with one of them", "/alice/newer", 200, "newer", "1", "newer-1.tgz", b"tgz",
           ("import_name", "import_name c")),
    read_json("one of them is replaced", "/alice/newer/newer/1", difference=UNKNOWN),
    post("submit with some", "/alice/newer", 200,
         metadata_form("submit", ("name", "newer"), ("version", "2"), ("from_tomorrow", "from_tomorrow s")),
         as_user="alice"),
    read_json("what was submitted", "/alice/newer/newer/2", difference=UNKNOWN),
    post("submit without them", "/alice/newer", 200,
         metadata_form("submit", ("name", "newer"), ("version", "2"), ("summary", "other")), as_user="alice"),
    read_json("a submit takes them away", "/alice/newer/newer/2"),
    index("/alice/newest"),
    push("push them", "/alice/newer", 200, {"name": "newer", "version": "1", "targetindex": "alice/newest"}),
    read_json("they are pushed", "/alice/newest/newer/1", difference=UNKNOWN),
    upload("only fields of the transport", "/alice/newer", 200, "plain", "1", "plain-1.tar.gz", b"p", *_TRANSPORT),
    read_json("they are not kept", "/alice/newer/plain/1"),
    upload("odd names of fields", "/alice/newer", 200, "odd", "1", "odd-1.tar.gz", b"o", ("+links", "x"),
           ("+shadowing", "x"), ("", "x"), (":other", "x")),
    read_json("they are no data", "/alice/newer/odd/1"),
    _raw("a boundary with a charset behind", _DISTUTILS.replace(b"1.0", b"1.2"), "d; charset=utf-8"),
]  # fmt: skip

UPLOAD_FORMS = Scenario(
    "upload-forms",
    "file names, versions, metadata keys, and forms as different clients write them",
    [
        user("alice", "pw2"),
        index("/alice/dev"),
        _raw("distutils form", _DISTUTILS, "d"),
        read_json("read the distutils upload", "/alice/dev/shapes/1.0"),
        _raw("twine form", _twine_like(), "twine"),
        read_json("read the twine upload", "/alice/dev/shapes/3.0"),
        _raw("a quoted boundary", _DISTUTILS.replace(b"1.0", b"1.1"), '"d"'),
        upload(
            "a part without file name", "/alice/dev/", 200, "shapes", "4.0", "shapes-4.0.tar.gz", b"x", ("comment", "c")
        ),
        upload("a local version", "/alice/dev/", 200, "shapes", "1.0+l.1", "shapes-1.0+l.1.tar.gz", b"local"),
        upload(
            "a version with dashes",
            "/alice/dev/",
            200,
            "shapes",
            "1-2-3",
            "shapes-1_2_3-py3-none-any.whl",
            wheel("shapes", "1_2_3"),
        ),
        upload("a version that is none", "/alice/dev/", 200, "shapes", "final", "shapes-final.tar.gz", b"final"),
        upload("extension in capitals", "/alice/dev/", 200, "shapes", "5", "shapes-5.TAR.GZ", b"caps"),
        upload("a tgz", "/alice/dev/", 200, "shapes", "6", "shapes-6.tgz", b"tgz"),
        upload("an exe", "/alice/dev/", 200, "shapes", "6", "shapes-6.exe", b"exe"),
        upload("a bz2", "/alice/dev/", 200, "shapes", "6", "shapes-6.tar.bz2", b"bz2"),
        upload("an egg", "/alice/dev/", 200, "shapes", "6", "shapes-6-py3.egg", archive(egg="1")),
        upload("a zip with a blank", "/alice/dev/", 200, "shapes", "6", "shapes-6 b.zip", archive(blank="1")),
        upload(
            "an extension in the middle", "/alice/dev/", 200, "shapes", "6", "shapes-6.zip.foo.zip", archive(middle="1")
        ),
        upload("no name before the extension", "/alice/dev/", 400, "zip", "", ".zip", archive(name="1")),
        upload(
            "a name of which the project is a prefix",
            "/alice/dev/",
            200,
            "sh",
            "6",
            "shapes-6.zip",
            archive(prefix="1"),
        ),
        upload("a name in another spelling", "/alice/dev/", 200, "SHAPES", "6", "Shapes-6.tgz", b"tgz2"),
        upload("a dotted name", "/alice/dev/", 200, "a.b_c", "1", "a_b-c-1.tar.gz", b"dots"),
        upload("a name with many dashes", "/alice/dev/", 200, "a--b", "1", "a_b-1.tar.gz", b"dashes"),
        upload("an unquoted percent sign", "/alice/dev/", 400, "x", "1%2", "x-1%2.tar.gz", b"x"),
        upload("a non-ascii name", "/alice/dev/", 400, "n\u00e4", "1", "n\u00e4-1.tar.gz", b"x"),
        upload("a non-ascii file name", "/alice/dev/", 200, "nf", "1", "nf\u00e4-1.tar.gz", b"x"),
        read_json("read the non-ascii file name", "/alice/dev/nf"),
        upload("an empty file", "/alice/dev/", 200, "empty", "1", "empty-1.tar.gz", b""),
        read_json("read the empty file", "/alice/dev/empty/1"),
        upload(
            "all text metadata",
            "/alice/dev/",
            200,
            "meta",
            "1",
            "meta-1.tar.gz",
            b"meta",
            *(
                (key, f"{key} \u00e4\u4e2d")
                for key in (
                    "metadata_version",
                    "summary",
                    "home_page",
                    "author",
                    "author_email",
                    "maintainer",
                    "maintainer_email",
                    "license",
                    "keywords",
                    "download_url",
                    "comment",
                    "requires_python",
                    "description_content_type",
                    "license_expression",
                )
            ),
            ("description", _LONG),
        ),
        read_json("read all text metadata", "/alice/dev/meta/1"),
        upload(
            "all list metadata",
            "/alice/dev/",
            200,
            "lists",
            "1",
            "lists-1.tar.gz",
            b"lists",
            *(
                (key, f"{key} {number}")
                for number in (1, 2)
                for key in (
                    "platform",
                    "classifiers",
                    "supported_platform",
                    "provides",
                    "requires",
                    "obsoletes",
                    "project_urls",
                    "provides_dist",
                    "obsoletes_dist",
                    "requires_dist",
                    "requires_external",
                    "provides_extras",
                    "dynamic",
                    "license_file",
                )
            ),
        ),
        read_json("read all list metadata", "/alice/dev/lists/1"),
        upload(
            "a text field twice",
            "/alice/dev/",
            200,
            "twice",
            "1",
            "twice-1.tar.gz",
            b"t",
            ("summary", "a"),
            ("summary", "b"),
        ),
        read_json("read a text field twice", "/alice/dev/twice/1"),
        upload(
            "unknown in text and list",
            "/alice/dev/",
            200,
            "un",
            "1",
            "un-1.tar.gz",
            b"u",
            ("author", "UNKNOWN"),
            ("platform", "UNKNOWN"),
            ("classifiers", "UNKNOWN"),
        ),
        read_json("read unknown in text and list", "/alice/dev/un/1"),
        upload(
            "metadata first",
            "/alice/dev/",
            200,
            "two",
            "1",
            "two-1.tar.gz",
            b"1",
            ("author", "a"),
            ("classifiers", "A"),
        ),
        upload(
            "some metadata changed by the second file",
            "/alice/dev/",
            200,
            "two",
            "1",
            "two-1.zip",
            archive(two="1"),
            ("classifiers", "B"),
            ("author", ""),
        ),
        read_json("read metadata of two files", "/alice/dev/two/1"),
        upload("the same file again", "/alice/dev/", 200, "two", "1", "two-1.tar.gz", b"1"),
        upload("the same file a third time", "/alice/dev/", 200, "two", "1", "two-1.tar.gz", b"1"),
        read_json("read the log of a replaced file", "/alice/dev/two/1"),
        upload(
            "latin-1 in the reason",
            "/alice/dev/",
            400,
            "x",
            "1",
            "nf\u00e4-1.tar.gz",
            b"x",
            difference="reason-ascii",
        ),
        upload(
            "more than latin-1 in the reason",
            "/alice/dev/",
            500,
            "x",
            "1",
            "\u4e2d-1.tar.gz",
            b"x",
            difference="server-errors",
        ),
        upload(
            "more than latin-1 in the reason, json",
            "/alice/dev/",
            500,
            "x",
            "1",
            "\u4e2d-1.tar.gz",
            b"x",
            accept=JSON,
            difference="server-errors",
        ),
        upload(
            "markup in the reason",
            "/alice/dev/",
            400,
            "x",
            "1",
            "<b>&-1.tar.gz",
            b"x",
            accept=HTML,
            difference="error-html-escaped",
        ),
        post("a line break in the reason", "/alice/dev/", 400, metadata_form("a\r\nX-Injected: yes"), as_user="alice"),
        post("a lone line feed in the reason", "/alice/dev/", 400, metadata_form("a\nb"), as_user="alice"),
        post("a quote in the reason", "/alice/dev/", 400, metadata_form("o'hara"), as_user="alice"),
        post("both quotes in the reason", "/alice/dev/", 400, metadata_form("o'h\"ara\\"), as_user="alice"),
        post("a long reason", "/alice/dev/", 400, metadata_form("long" * 40), as_user="alice"),
        post("a form without an action", "/alice/dev/", 400, Form((("name", "x"), ("version", "1"))), as_user="alice"),
        post(
            "a form with an empty action", "/alice/dev/", 400, Form(((":action", ""), ("name", "x"))), as_user="alice"
        ),
        post("an action nobody knows, as nobody", "/alice/dev/", 401, metadata_form("foo"), accept=ANYTHING),
        post("no body at all", "/alice/dev/", 400, as_user="alice"),
        page("page of all shapes", "/alice/dev/+simple/shapes/"),
        json_page("page of all shapes in json", "/alice/dev/+simple/shapes/"),
        get("index after all", "/alice/dev"),
        *_UNKNOWN_FIELDS,
    ],
    {"alice": "pw2"},
)
