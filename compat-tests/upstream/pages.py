"""Renders what an upstream publishes: HTML as in PEP 503, JSON as in PEP 691, with all that came later."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from typing import Any

from .model import AUTOMATIC, OMITTED, File, Project, hash_of


def project_html(project: Project, origin: str, other: str) -> bytes:
    """The page of a project in HTML."""
    lines = ["<!DOCTYPE html>", "<html>", "  <head>"]
    lines += [f"    {element}" for element in _head(project)]
    lines += [f"    <title>Links for {project.name}</title>", "  </head>", "  <body>"]
    lines += [f"    <h1>Links for {project.name}</h1>"]
    lines += [f"    {_anchor(project, file, origin, other)}<br />" for file in project.files]
    return "\n".join([*lines, "  </body>", "</html>", ""]).encode()


def project_json(project: Project, origin: str, other: str) -> bytes:
    """The page of a project in JSON."""
    meta: dict[str, Any] = {} if project.api_version is None else {"api-version": project.api_version}
    if isinstance(project.serial, int):
        meta["_last-serial"] = project.serial
    page: dict[str, Any] = {"meta": meta, "name": project.name}
    page["files"] = [_file(project, file, origin, other) for file in project.files]
    if project.versions is not None:
        page["versions"] = list(project.versions)
    if project.status is not None:
        page["project-status"] = {"status": project.status}
        if project.status_reason is not None:
            page["project-status"]["reason"] = project.status_reason
    return json.dumps({**page, **project.keys}).encode()


def list_html(names: Iterable[str]) -> bytes:
    """The project list in HTML."""
    head = '<!DOCTYPE html>\n<html>\n  <head>\n    <meta name="pypi:repository-version" content="1.4">\n'
    lines = "\n".join(f'    <a href="/simple/{name}/">{name}</a><br />' for name in names)
    return f"{head}    <title>Simple index</title>\n  </head>\n  <body>\n{lines}\n  </body>\n</html>\n".encode()


def list_json(names: Iterable[str]) -> bytes:
    """The project list in JSON."""
    projects = ",".join(f'{{"name":{json.dumps(name)}}}' for name in names)
    return f'{{"meta":{{"api-version":"1.4"}},"projects":[{projects}]}}'.encode()


def _head(project: Project) -> Iterable[str]:
    if project.api_version is not None:
        yield f'<meta name="pypi:repository-version" content="{project.api_version}">'
    if project.status is not None:
        yield f'<meta name="pypi:project-status" content="{html.escape(project.status)}">'
    if project.status_reason is not None:
        yield f'<meta name="pypi:project-status-reason" content="{html.escape(project.status_reason)}">'
    if project.base is not None:
        yield f'<base href="{html.escape(project.base)}">'


def _url(project: Project, file: File, origin: str, other: str) -> str:
    if file.href is not None:
        host, other_host = origin.partition("://")[2], other.partition("://")[2]
        return file.href.replace("{host}", host).replace("{other}", other_host)
    return {"relative": "../..", "absolute": origin, "other": other}[project.links] + file.path


def _anchor(project: Project, file: File, origin: str, other: str) -> str:
    fragment = file.fragment
    if fragment is None:
        fragment = next((f"{algorithm}={value}" for algorithm, value in file.shown_hashes().items()), None)
    url = _url(project, file, origin, other)
    attributes: dict[str, str | None] = {"href": url if fragment is None else f"{url}#{fragment}"}
    if file.requires_python is not None:
        attributes["data-requires-python"] = file.requires_python
    if file.yanked is not False:
        attributes["data-yanked"] = "" if file.yanked is True else str(file.yanked)
    metadata = _core_metadata(file)
    if metadata is not OMITTED:
        text = "true" if metadata is True else "false" if metadata is False else "=".join(next(iter(metadata.items())))
        attributes |= {"data-dist-info-metadata": text, "data-core-metadata": text}
    provenance = _provenance(file, url)
    if provenance is not None:
        attributes["data-provenance"] = provenance
    if file.gpg_sig is not None:
        attributes["data-gpg-sig"] = "true" if file.gpg_sig else "false"
    written = " ".join(_attribute(name, value) for name, value in {**attributes, **file.attributes}.items())
    return f"<a {written}>{html.escape(file.filename)}</a>"


def _attribute(name: str, value: str | None) -> str:
    return name if value is None else f'{name}="{html.escape(value)}"'


def _file(project: Project, file: File, origin: str, other: str) -> dict[str, Any]:
    url = _url(project, file, origin, other)
    entry: dict[str, Any] = {"filename": file.filename, "url": url, "hashes": file.shown_hashes()}
    if file.requires_python is not None:
        entry["requires-python"] = file.requires_python
    if file.size is not OMITTED:
        entry["size"] = len(file.content) if file.size is AUTOMATIC else file.size
    if file.upload_time is not OMITTED:
        entry["upload-time"] = file.upload_time
    entry["yanked"] = file.yanked
    metadata = _core_metadata(file)
    if metadata is not OMITTED:
        value = dict(metadata) if isinstance(metadata, Mapping) else metadata
        entry |= {"core-metadata": value, "data-dist-info-metadata": value}
    provenance = _provenance(file, url)
    if provenance is not None:
        entry["provenance"] = provenance
    if file.gpg_sig is not None:
        entry["gpg-sig"] = file.gpg_sig
    return {**entry, **file.keys}


def _core_metadata(file: File) -> Any:
    if file.core_metadata is not AUTOMATIC:
        return file.core_metadata
    return OMITTED if file.metadata is None else {"sha256": hash_of(file.metadata, "sha256")}


def _provenance(file: File, url: str) -> str | None:
    if file.provenance_url is not AUTOMATIC:
        return None if file.provenance_url is OMITTED else file.provenance_url
    return None if file.provenance is None else f"{url}.provenance"
