"""People with real clients: each round adds something, looks at it, and removes it again."""

from __future__ import annotations

import shutil
from pathlib import Path

import packages
from clients import VENVS
from harness import Index

from .place import NEWEST, PROJECTS, VERSIONS, Place, Worker, needed_by

DISTRIBUTIONS = (packages.wheel, packages.sdist)
KINDS = {"-c": "create", "--delete": "delete"}


class Developer(Worker):
    """Somebody at devpi-client: an index for each piece of work, pushed to another one when it is done."""

    def __init__(self, place: Place, name: str):
        super().__init__(place, name)
        self.prod = self.server.new_index("prod")
        self.shell.use(self.prod)

    def round(self) -> None:
        number = self.noise.randrange(4)
        project, version = f"tool-{number}", self.noise.choice(VERSIONS)
        work = Index(self.server.url, self.prod.user, self.prod.password, f"work-{number}")
        paths = [make(self.directory / "dist", project, version) for make in DISTRIBUTIONS]
        self.devpi("index", "-c", work.short_name, f"bases={self.place.stage.name}")
        self.devpi("use", work.name, says="logged in as")
        self.devpi("upload", *paths)
        self.expect_files(work, project, *paths)
        shown = self.devpi("list", project)
        assert {path.name for path in paths} <= {line.rpartition("/")[2] for line in shown.splitlines()}, shown
        self.devpi("push", f"{project}=={version}", self.prod.name, says="200 store_releasefile")
        self.expect_files(self.prod, project, *paths)
        self.devpi("list", self.noise.choice(PROJECTS), says="/+f/")
        self.devpi("remove", "-y", "--index", self.prod.name, f"{project}=={version}")
        self.expect_files(self.prod, project)
        self.any_of(lambda: self.devpi("remove", "-y", project), self.refused, self.guest, self.change)
        self.devpi("index", "-y", "--delete", work.name, says="index deleted")
        assert self.server.request("GET", f"/{work.name}").status_code == 404

    def devpi(self, command: str, *arguments: object, code: int = 0, says: str = "", **options) -> str:
        shown = self.shell.devpi(command, *arguments, code=code, **options)
        assert says in shown, f"{says!r} is not in {shown}"
        kinds = [KINDS[word] for word in arguments if word in KINDS]
        self.place.did(" ".join(["devpi", command, *kinds, *(["refused"] if code else [])]))
        return shown

    def refused(self) -> None:
        """Indexes of others cannot be made, uploaded to or removed; and a password that is wrong."""
        stage = self.place.stage
        self.devpi("index", "-c", f"{stage.user}/mine", code=1, says="403 Forbidden")
        self.devpi("upload", "--index", stage.name, self.place.small, code=1, says="403 FAIL")
        self.devpi("index", "-y", "--delete", stage.name, code=1, says="403 Forbidden")
        other = {"DEVPI_CLIENTDIR": str(self.directory / "other")}
        self.devpi("use", self.server.url, env=other)
        self.devpi("login", self.prod.user, "--password", "wrong", code=1, says="401 Unauthorized", env=other)

    def guest(self) -> None:
        """A user who comes, makes an index, and goes with all that is in it."""
        name, other = f"guest-{self.noise.randrange(4)}", {"DEVPI_CLIENTDIR": str(self.directory / "guest")}
        self.devpi("use", self.server.url, env=other)
        self.devpi("user", "-c", name, "password=guest-pw-1", env=other)
        self.devpi("login", name, "--password", "guest-pw-1", says="logged in", env=other)
        self.devpi("index", "-c", "dev", env=other)
        self.devpi("upload", "--index", f"{name}/dev", self.place.small, env=other)
        self.devpi("user", "-y", "--delete", name, env=other)
        assert self.server.request("GET", f"/{name}").status_code == 404

    def change(self) -> None:
        """The settings of an index, and the list of all."""
        title = f"title={self.noise.randrange(10)}"
        self.devpi("index", self.prod.name, title, says=title)
        self.devpi("use", "-l", says=self.prod.name)


class Publisher(Worker):
    """Somebody who publishes with each of the tools there are, and installs what came of it."""

    def __init__(self, place: Place, name: str):
        super().__init__(place, name)
        self.releases = self.server.new_index("releases", bases=[place.stage.name])
        self.fixed = self.server.new_index("fixed", owner=self.releases, volatile=False)
        dist = self.directory / "fixed"
        self.twine(self.fixed, packages.wheel(dist, "settled", "1.0"))
        self.settled = packages.wheel(dist / "changed", "settled", "1.0", summary="Changed.")
        self.number = 0

    def round(self) -> None:
        """Each tool has its turn. The same release is the same whenever it is made, except by setup.py."""
        tools = (self.with_twine, self.with_uv, self.with_hatch, self.with_poetry, self.with_setup_py)
        tool = tools[self.number % len(tools)]
        self.number += 1
        number, version = self.noise.randrange(5), self.noise.choice(VERSIONS)
        project, needed = f"made-{number}", PROJECTS[len(VERSIONS) * number + VERSIONS.index(version)]
        directory = self.directory / "project"
        for make in DISTRIBUTIONS:
            make(directory / "dist", project, version, requires=[needed])
        (directory / "pyproject.toml").write_text(f'[project]\nname = "{project}"\nversion = "{version}"\n')
        paths = tool(directory, project, version)
        self.expect_files(self.releases, project, *paths)
        self.install(project, version, needed if tool != self.with_setup_py else None)
        if self.noise.random() < 0.3:
            self.refused(directory)
        path = f"/{self.releases.name}/{project}" + self.noise.choice(["", f"/{version}"])
        self.server.api("DELETE", path, auth=self.releases.auth)
        self.expect_files(self.releases, project)
        self.place.did("HTTP removal of a release or project")
        shutil.rmtree(directory)

    def with_twine(self, directory: Path, project: str, version: str) -> list[Path]:
        return self.twine(self.releases, *distributions(directory))

    def twine(self, index: Index, *paths: Path, password: str = "", code: int = 0, says: str = "") -> list[Path]:
        login = ("-u", index.user, "-p", password or index.password)
        shown = self.shell.twine("upload", "--repository-url", index.upload_url, *login, *paths, code=code)
        assert says in shown, shown
        self.place.did(f"twine upload{' refused' if code else ''}")
        return list(paths)

    def with_uv(self, directory: Path, project: str, version: str) -> list[Path]:
        return self.uv(self.releases, directory)

    def uv(self, index: Index, directory: Path, password: str = "", code: int = 0, says: str = "") -> list[Path]:
        login = ("-u", index.user, "-p", password or index.password)
        shown = self.shell.uv("publish", "--publish-url", index.upload_url, *login, code=code, cwd=directory)
        assert says in shown, shown
        self.place.did(f"uv publish{' refused' if code else ''}")
        return distributions(directory)

    def with_hatch(self, directory: Path, project: str, version: str) -> list[Path]:
        login = ("-u", self.releases.user, "-a", self.releases.password)
        command = (VENVS / "hatch/bin/hatch", "--no-interactive", "publish", "-r", self.releases.upload_url)
        shown = self.shell.run(*command, *login, cwd=directory)
        assert shown.count(" ... success") == 2, shown
        self.place.did("hatch publish")
        return distributions(directory)

    def with_poetry(self, directory: Path, project: str, version: str) -> list[Path]:
        env = {
            "POETRY_REPOSITORIES_LOCAL_URL": self.releases.upload_url,
            "POETRY_HTTP_BASIC_LOCAL_USERNAME": self.releases.user,
            "POETRY_HTTP_BASIC_LOCAL_PASSWORD": self.releases.password,
        }
        command = (VENVS / "poetry/bin/poetry", "publish", "--no-interaction", "-r", "local")
        self.shell.run(*command, cwd=directory, env=env)
        self.place.did("poetry publish")
        return distributions(directory)

    def with_setup_py(self, directory: Path, project: str, version: str) -> list[Path]:
        (self.shell.home / ".pypirc").write_text(
            f"[distutils]\nindex-servers = dev\n[dev]\nrepository = {self.releases.upload_url}\n"
            f"username = {self.releases.user}\npassword = {self.releases.password}\n"
        )
        source = packages.project(directory / "source", project, version)
        command = (VENVS / "legacy/bin/python", "setup.py", "sdist", "bdist_wheel", "upload", "-r", "dev")
        shown = self.shell.run(*command, cwd=source)
        assert shown.count("Server response (200): OK") == 2, shown
        self.place.did("setup.py upload")
        return distributions(source)

    def install(self, project: str, version: str, needed: str | None) -> None:
        """What was published is installed with what it needs, which comes from the mirror."""
        expected = {project: version} | (with_needed(needed, NEWEST) if needed else {})
        install(self, self.noise.choice(("pip", "uv")), self.releases, "stage", f"{project}=={version}", expected)

    def refused(self, directory: Path) -> None:
        """A wrong password, and other contents where nothing may be replaced."""
        self.twine(self.releases, *distributions(directory), password="wrong", code=1, says="401")
        self.uv(self.releases, directory, password="wrong", code=2, says="401")
        self.twine(self.fixed, self.settled, code=1, says="already exists in non-volatile index")


class Installer(Worker):
    """Somebody who installs from the mirror, or through the stage above it, with nothing cached."""

    def round(self) -> None:
        index = self.noise.choice((self.place.mirror, self.place.stage))
        self.any_of(
            *(lambda tool=tool: self.install(index, tool) for tool in ("pip", "uv", "uv")),
            lambda: self.download(index),
            lambda: self.missing(index),
        )

    def install(self, index: Index, tool: str) -> None:
        project, version = self.noise.choice(PROJECTS), self.noise.choice(VERSIONS)
        install(self, tool, index, "mirror", f"{project}=={version}", with_needed(project, version))

    def download(self, index: Index) -> None:
        target = self.directory / "download"
        project, version = self.noise.choice(PROJECTS), self.noise.choice(VERSIONS)
        options = ("--no-cache-dir", "--no-deps", "--dest", target, "--index-url", index.simple_url)
        self.shell.pip("download", *options, f"{project}=={version}")
        [path] = target.iterdir()
        upstream = self.place.directory / "upstream" / path.name
        assert packages.sha256(path) == packages.sha256(upstream), f"{path.name} is not as it is at the upstream"
        shutil.rmtree(target)
        self.place.did("pip download")

    def missing(self, index: Index) -> None:
        """A project that is nowhere, and a version that is nowhere."""
        requirement = self.noise.choice((f"nowhere-{self.noise.randrange(10)}", f"{self.noise.choice(PROJECTS)}==7"))
        options = ("--no-cache-dir", "--no-deps", "--dest", self.directory / "none", "--index-url", index.simple_url)
        shown = self.shell.pip("download", *options, requirement, code=1)
        assert "No matching distribution found" in shown, shown
        self.place.did("pip download refused")


def distributions(directory: Path) -> list[Path]:
    """What was built in a directory."""
    return sorted((directory / "dist").iterdir())


def with_needed(project: str, version: str) -> dict[str, str]:
    """A project of the mirror with all that comes with it."""
    return {project: version} | dict.fromkeys(needed_by(project), NEWEST)


def install(worker: Worker, tool: str, index: Index, kind: str, requirement: str, expected: dict[str, str]) -> None:
    """Installs into an empty directory, in which exactly what is expected must then be."""
    target = worker.directory / "target"
    where = ("--target", target, "--index-url", index.simple_url)
    if tool == "pip":
        worker.shell.pip("install", "--no-cache-dir", "--no-compile", *where, requirement)
    else:
        worker.shell.uv("pip", "install", "--no-config", "--no-cache", *where, requirement)
    found = {path.name.removesuffix(".dist-info") for path in target.glob("*.dist-info")}
    assert found == {f"{packages.module_name(name)}-{version}" for name, version in expected.items()}
    for name, version in expected.items():
        module = packages.module_name(name)
        assert (target / f"{module}.py").read_text() == f'__version__ = "{version}"\n'
    shutil.rmtree(target)
    worker.place.did(f"{tool} install from the {kind}")
