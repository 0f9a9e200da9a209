"""`--enable-core-metadata` and `--absolute-urls`."""

from __future__ import annotations

from ..distributions import stored_path, wheel
from ..steps import PIP, Scenario, get, head, json_page, page, pip_page, project_list, put, read_json, upload

DEV = "/u1/dev"
WHEEL, SDIST, BARE = "Wh-1-py3-none-any.whl", "Wh-1.tar.gz", "nm-1-py3-none-any.whl"
WHEEL_BYTES, BARE_BYTES = wheel("Wh", "1"), wheel("nm", "1", metadata=False)
WHEEL_FILE = stored_path(DEV, WHEEL, WHEEL_BYTES)
SDIST_FILE = stored_path(DEV, SDIST, b"wh")
BARE_FILE = stored_path(DEV, BARE, BARE_BYTES)
PAGE = "/u1/dev/+simple/wh/"

CORE_METADATA = Scenario(
    "core-metadata",
    "core metadata and absolute links, switched on",
    [
        put("prepare u1", "/u1", 201, {"password": "x"}),
        put("prepare u1/dev", DEV, 200, {}, as_user="u1"),
        upload("prepare a wheel", DEV, 200, "Wh", "1", WHEEL, WHEEL_BYTES, as_user="u1"),
        upload("prepare an sdist", DEV, 200, "Wh", "1", SDIST, b"wh", as_user="u1"),
        upload("prepare a wheel without metadata", DEV, 200, "nm", "1", BARE, BARE_BYTES, as_user="u1"),
        page("442", PAGE),
        json_page("443", PAGE),
        project_list("444", "/u1/dev/+simple/"),
        get("445", f"{WHEEL_FILE}.metadata", difference="core-metadata-on"),
        head("446", f"{WHEEL_FILE}.metadata", difference="core-metadata-on"),
        get("447", f"{SDIST_FILE}.metadata", 404),
        read_json("448", f"{SDIST_FILE}.metadata", 404),
        read_json("449", f"{BARE_FILE}.metadata", 404),
        pip_page("absolute links for pip", PAGE),
        pip_page("absolute links without a slash", "/u1/dev/+simple/wh"),
        pip_page("absolute links on the index route", "/u1/dev/wh", agent=PIP),
        page("absolute links under another host", PAGE, headers={"Host": "foo.example:99"}),
        page("absolute links under an outside url", PAGE, headers={"X-Outside-Url": "https://out.example/sub"}),
        get(
            "metadata with json accepted",
            f"{WHEEL_FILE}.metadata",
            accept="application/json",
            difference="core-metadata-on",
        ),
        get("metadata of nothing", f"{WHEEL_FILE.replace('Wh-1', 'Wh-2')}.metadata", 404),
        get("metadata on an unknown index", f"{WHEEL_FILE.replace('dev', 'nope')}.metadata", 404),
        get("the wheel itself", WHEEL_FILE),
        read_json("project data", "/u1/dev/wh"),
        get("redirect", "/u1/dev/+simple/wh", 302),
    ],
    {"u1": "x"},
    ("--absolute-urls", "--enable-core-metadata"),
)
