"""Files as others write them: small showers in every format, for the import tests."""

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

from engine.schema import CONDITIONS

MASSES = {2112: 939.565, 22: 0.0, 130: 497.611}


def sample(n: int, seed: int = 0, detector: str = "zn", replicas: int = 2) -> dict[str, np.ndarray]:
    """n showers whose light lies where a straight line meets the face, `replicas` of each primary."""
    rng = np.random.default_rng(seed)
    shape, pitch = {"zn": ((44, 44), 0.16), "zp": ((56, 30), 0.4)}[detector]
    showers = np.zeros((n, *shape), np.uint16)
    conditions, pdg = np.zeros((n, 9)), np.zeros(n, np.int64)
    for i in range(n):
        if i % replicas:
            conditions[i], pdg[i] = conditions[i - 1], pdg[i - 1]
        else:
            pdg[i] = rng.choice(list(MASSES))
            mass = MASSES[int(pdg[i])]
            pz = rng.uniform(200, 2000) * rng.choice([-1, 1])
            at = rng.uniform(-0.8, 0.8, 2) * np.array(shape) * pitch / 2
            px, py = at / 11_260 * abs(pz)
            energy = np.sqrt(px**2 + py**2 + pz**2 + (mass / 1000) ** 2)
            conditions[i] = [energy, 0, 0, 0, px, py, pz, mass, 0]
        centre = (conditions[i, 4:6] / abs(conditions[i, 6]) * 11_260) / pitch + np.array(shape) / 2
        spots = np.clip(rng.normal(centre, 2, (60, 2)).astype(int), 0, np.array(shape) - 1)
        np.add.at(showers[i], tuple(spots.T), 1)
    primary = np.arange(n) // replicas
    return {
        "showers": showers,
        "conditions": conditions,
        "pdg": pdg,
        "primary_id": primary,
        "replica": np.arange(n) % replicas,
    }


def write_npz(folder: Path, data: dict) -> list[Path]:
    path = folder / "showers.npz"
    np.savez_compressed(path, **data)
    return [path]


def write_alice(folder: Path, data: dict) -> list[Path]:
    """`data_nonrandom_{responses,particles}.npz` with one array `arr_0` each, the PDG id as tenth column."""
    particles = np.column_stack([data["conditions"], data["pdg"]])
    np.savez_compressed(folder / "data_nonrandom_responses.npz", data["showers"].astype(np.float32))
    np.savez(folder / "data_nonrandom_particles.npz", particles)
    return [folder / "data_nonrandom_responses.npz"]


def write_pickle(folder: Path, data: dict, protocol: int = 4) -> list[Path]:
    particles = np.column_stack([data["conditions"], data["pdg"]])
    for name, array in (("data_photonsum_1_2312", data["showers"]), ("data_cond_photonsum_1_2312", particles)):
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(array, protocol=protocol))
    return [folder / "data_photonsum_1_2312.pkl"]


def write_text(folder: Path, data: dict) -> list[Path]:
    """Pictures as npy, the particle list as text."""
    np.save(folder / "pictures.npy", data["showers"])
    rows = (" ".join(repr(float(v)) for v in row) for row in data["conditions"])
    lines = [f"{row} {pdg}" for row, pdg in zip(rows, data["pdg"], strict=True)]
    (folder / "all_examples.txt").write_text("\n".join(lines) + "\n")
    return [folder / "pictures.npy", folder / "all_examples.txt"]


def table(data: dict) -> dict[str, np.ndarray]:
    columns = {name: data["conditions"][:, i] for i, name in enumerate(CONDITIONS)}
    return columns | {name: data[name] for name in ("pdg", "primary_id", "replica") if name in data}


def parquet_table(data: dict) -> pa.Table:
    flat = pa.array(data["showers"].reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(flat, int(np.prod(data["showers"].shape[1:])))
    return pa.table({"showers": lists, **table(data)})


def write_parquet(folder: Path, data: dict) -> list[Path]:
    """Two tables and a manifest."""
    whole = parquet_table(data)
    half = len(whole) // 2
    for name, part in (("a.parquet", whole.slice(0, half)), ("b.parquet", whole.slice(half))):
        pq.write_table(part, folder / name)
    shape = list(data["showers"].shape[1:])
    manifest = {"files": ["a.parquet", "b.parquet"], "rows": len(whole), "shape": shape}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return [folder]


def write_hdf5(folder: Path, data: dict) -> list[Path]:
    path = folder / "showers.h5"
    with h5py.File(path, "w") as file:
        for name, array in data.items():
            file.create_dataset(name, data=array, compression="gzip" if name == "showers" else None)
    return [path]


def write_root(folder: Path, data: dict) -> list[Path]:
    path = folder / "showers.root"
    columns = {"showers": data["showers"], **table(data)}
    with uproot.recreate(path) as file:
        file.mktree("showers", {k: (v.dtype, v.shape[1:]) for k, v in columns.items()}).extend(columns)
    return [path]


WRITERS = {
    "npz": write_npz,
    "alice": write_alice,
    "pickle": write_pickle,
    "text": write_text,
    "parquet": write_parquet,
    "hdf5": write_hdf5,
    "root": write_root,
}
