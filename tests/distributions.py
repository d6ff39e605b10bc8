"""Third parties' distributions, put where an interpreter finds them: what pip leaves behind, without pip or a network."""

import tomllib

GROUP = "gradproof.backends"


def install_project(folder, target):
    """Install the project in `folder`, one with a pyproject.toml, into the folder `target`."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    sources = {module.name: module.read_text() for module in folder.glob("*.py")}
    install(target, project["name"], project["entry-points"][GROUP], sources)


def install(target, name, adapters, sources):
    """Install distribution `name` into `target`: `adapters` {package: "module:object"}, `sources` {file: text}."""
    info = target / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{package} = {place}" for package, place in adapters.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))
    for file, text in sources.items():
        (target / file).write_text(text)
