"""[tool.gradproof] in a pyproject.toml."""

import pytest

from gradproof.config import Config, load_config, nearest

ALL = """
[tool.gradproof]
sources = ["numeric", "hand"]
resolution = 1e-2
seed = 3
confidence = 0.99
leaf = ["w", "*.bias"]
verbosity = 2
"""


@pytest.fixture
def file(tmp_path):
    """`file(text)` is a pyproject.toml that holds it."""

    def made(text):
        place = tmp_path / "pyproject.toml"
        place.write_text(text)
        return place

    return made


def test_every_key_is_read(file):
    place = file(ALL)
    assert load_config(place) == Config(place, ("numeric", "hand"), 1e-2, 3, 0.99, ("w", "*.bias"), 2)


def test_a_key_that_is_not_there_is_no_choice(file):
    place = file("[tool.gradproof]\nseed = 3")
    assert load_config(place) == Config(place, seed=3)


def test_one_glob_needs_no_list(file):
    assert load_config(file('[tool.gradproof]\nleaf = "*.bias"')).leaf == ("*.bias",)


@pytest.mark.parametrize("text", ["", "[tool.other]\nseed = 3", "[project]\nname = 'x'"])
def test_a_file_without_the_table_makes_no_choice(file, text):
    assert load_config(file(text)) == Config()


def test_without_a_file_there_is_no_choice():
    assert load_config(None) == Config()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sorces = ['numeric']", "unknown key 'sorces'; did you mean 'sources'? Known: confidence, leaf, "),
        ("quite_another = 1", "unknown key 'quite_another'. Known: "),
        ("origin = 1", "unknown key 'origin'"),
        ("sources = 'numeric'", 'sources is a list of names, like ["numeric", "hand"]; got \'numeric\''),
        ("sources = []", 'sources is a list of names, like ["numeric", "hand"]; got []'),
        ("sources = [1]", "got [1]"),
        ("resolution = '1e-3'", "resolution is a number between 0 and 1; got '1e-3'"),
        ("resolution = true", "got True"),
        ("resolution = 1.5", "resolution lies between 0 and 1; got 1.5"),
        ("confidence = 1", "confidence lies between 0 and 1; got 1"),
        ("confidence = nan", "confidence lies between 0 and 1; got nan"),
        ("seed = 1.0", "seed is a whole number from 0; got 1.0"),
        ("seed = -1", "seed is a whole number from 0; got -1"),
        ("seed = true", "seed is a whole number from 0; got True"),
        ("leaf = 3", 'leaf is a glob or a list of them, like "*.bias"; got 3'),
        ("leaf = ''", "got ''"),
        ("verbosity = 3", "verbosity is 0 (the answer), 1 (at most 40 lines) or 2 (everything); got 3"),
        ("verbosity = true", "got True"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_file(file, line, message):
    place = file(f"[tool.gradproof]\n{line}")
    with pytest.raises(ValueError) as refusal:  # noqa: PT011 -- the whole message is compared
        load_config(place)
    assert str(refusal.value).startswith(f"{place}, [tool.gradproof]: ")
    assert message in str(refusal.value)


def test_a_table_that_is_none_is_refused(file):
    with pytest.raises(ValueError, match=r"due: a table of sources, resolution, .*; got 3"):
        load_config(file("[tool]\ngradproof = 3"))


@pytest.mark.parametrize("text", ["[tool.gradproof", "seed = = 1"])
def test_a_file_that_is_not_toml_is_refused(file, text):
    with pytest.raises(ValueError, match=r"pyproject\.toml cannot be read: "):
        load_config(file(text))


def test_a_file_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot be read"):
        load_config(tmp_path / "pyproject.toml")


def test_the_nearest_file_upward_counts(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    assert nearest(inner) == tmp_path / "pyproject.toml"
    (tmp_path / "a" / "pyproject.toml").touch()
    assert nearest(inner) == tmp_path / "a" / "pyproject.toml"


def test_the_first_folder_with_a_file_above_it_counts(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "pyproject.toml").touch()
    above = nearest(tmp_path)
    assert nearest(tmp_path / "one", tmp_path / "two") == (above or tmp_path / "two" / "pyproject.toml")


def test_where_there_is_none_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr("gradproof.config.FILE", "no-such-file.toml")
    assert nearest(tmp_path) is None
