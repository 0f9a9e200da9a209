"""Reads pages of the simple index, HTML and JSON, into facts.

Layout is not compared; what an installer or a person reads from the page is: files with their links, hashes and
attributes, projects, titles, headings, and their order on pages for people (devpi lists them unordered to installers).
"""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from .exchange import Answer

Facts = dict[str, Any]


def facts(answer: Answer, *, for_people: bool) -> Facts:
    """The facts of a page of either format."""
    if (answer.header("content-type") or "").endswith("+json"):
        return _json_facts(json.loads(answer.body))
    page = _Page()
    page.feed(answer.text())
    page.close()
    found: Facts = {"page:format": "html", "page:api-version": page.metas.pop("repository-version", None)}
    found |= {f"page:key:{name}": value for name, value in page.metas.items()}
    for anchor in page.anchors:
        key = _unused(found, f"page:{'project' if anchor.is_project else 'file'}:{anchor.text}", "href")
        found |= {f"{key}:{name}": value for name, value in anchor.attributes.items()}
        if for_people:
            found[f"{key}:index"] = anchor.index
    if for_people:
        found["page:order"] = [anchor.text for anchor in page.anchors]
        found["page:title"] = page.title
        found["page:headings"] = page.headings
        found["page:forms"] = page.forms
        found["page:notes"] = page.notes
    return found


def _json_facts(value: dict[str, Any]) -> Facts:
    found: Facts = {"page:format": "json", "page:api-version": value["meta"].pop("api-version", None)}
    found |= {f"page:key:meta:{key}": item for key, item in value["meta"].items()}
    for project in value.get("projects", []):
        key = _unused(found, f"page:project:{project['name']}", "name")
        found |= {f"{key}:{name}": item for name, item in project.items()}
    for file in value.get("files", []):
        key = _unused(found, f"page:file:{file['filename']}", "filename")
        found |= {f"{key}:{name}": item for name, item in file.items()}
    found["page:name"] = value.get("name")
    found |= {f"page:kind:{key}": "list" for key in ("projects", "files") if isinstance(value.get(key), list)}
    others = value.keys() - {"meta", "projects", "files", "name"}
    return found | {f"page:key:{key}": value[key] for key in others}


def _unused(found: Facts, key: str, attribute: str) -> str:
    """A key for an entry; a second entry of the same name gets another one and so stays visible."""
    return f"{key} again" if f"{key}:{attribute}" in found else key


class _Anchor:
    """A link and the index named before it, either on its line or in the heading above."""

    def __init__(self, attributes: dict[str, str | None], index: str) -> None:
        self.attributes = attributes
        self.index = index
        self.text = ""

    @property
    def is_project(self) -> bool:
        return (self.attributes.get("href") or "").endswith("/")


class _Page(HTMLParser):
    """Collects the parts of a page that carry meaning."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.metas: dict[str, str | None] = {}
        self.anchors: list[_Anchor] = []
        self.forms: list[tuple[str | None, ...]] = []
        self.texts: dict[str, list[str]] = {"title": [], "h1": [], "h2": [], "p": []}
        self._open: list[str] = []
        self._before = ""

    @property
    def title(self) -> list[str]:
        return self.texts["title"]

    @property
    def headings(self) -> list[str]:
        return self.texts["h1"] + self.texts["h2"]

    @property
    def notes(self) -> list[str]:
        return self.texts["p"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "meta" and (attributes.get("name") or "").startswith("pypi:"):
            self.metas[str(attributes["name"]).removeprefix("pypi:")] = attributes.get("content")
        elif tag == "form":
            self.forms.append((attributes.get("action"), attributes.get("method")))
        elif tag == "input":
            self.forms.append((attributes.get("name"), attributes.get("value")))
        elif tag == "a":
            heading = self.texts["h2"][-1] if self.texts["h2"] else ""
            self.anchors.append(_Anchor(attributes, self._before.strip() or heading))
        elif tag in self.texts:
            self.texts[tag].append("")
        if tag not in {"meta", "input", "br", "link"}:
            self._open.append(tag)
        self._before = ""

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass
        self._before = ""

    def handle_data(self, data: str) -> None:
        if "a" in self._open:
            self.anchors[-1].text += data
            return
        for tag in self.texts:
            if tag in self._open:
                self.texts[tag][-1] += data
                return
        self._before += data
