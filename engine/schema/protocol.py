"""The `Engine` protocol: everything that the app can ask."""

from __future__ import annotations

from typing import Protocol

from engine.schema.benchmarks import Benchmark, BrokenGenerator
from engine.schema.catalogue import Catalogue, DatasetInfo, Health
from engine.schema.evaluation import EvaluateRequest, Report
from engine.schema.latent import MapRequest
from engine.schema.manifolds import CloudRequest, PartitionRequest
from engine.schema.runs import (
    GenerateRequest,
    History,
    Particle,
    RunInfo,
    ScanRequest,
    TrainSpec,
)
from engine.schema.tasks import FileFormat, ImportReport, Task, TaskInfo
from engine.schema.wire import Arrays


class Engine(Protocol):
    """What the app can ask. The in-process service, the HTTP client and the tests' fake all satisfy one suite."""

    def health(self) -> Health: ...
    def catalogue(self) -> Catalogue: ...
    def datasets(self) -> list[DatasetInfo]: ...

    def columns(self, data: str, convention: str = "paper") -> Arrays:
        """Per shower, without pictures: conditions (N,9), pdg, primary_id, replica, split (0 train, 1 validation,
        2 test), photon_sum, channels (N,5) [photons], impact_mm (N,2), largest_pixel."""
        ...

    def showers(self, data: str, rows: list[int]) -> Arrays:
        """Pictures of the given rows (at most 5 000): showers (n,H,W) [photons], conditions (n,9), pdg, row."""
        ...

    def nearest(self, data: str, particle: Particle, k: int = 8) -> Arrays:
        """The k simulated showers nearest in normalised conditions, nearest first; replicas of one primary stand
        together: showers, conditions, pdg, primary_id, row, distance, split."""
        ...

    def save_rows(self, data: str, rows: list[int], format: FileFormat) -> bytes:
        """The given showers of a data set (at most 20 000; csv: without pictures, any number) as a file."""
        ...

    def imports(self) -> list[ImportReport]:
        """What each import of this home reported, those of channels or particles alone too."""
        ...

    def upload(self, file_name: str, content: bytes) -> str:
        """Hand over a file for an import, or a table of conditions for a bulk; the answer names it in
        `ImportTask.uploads` or `BulkRequest.upload`. It is kept until the import has ended, a day at most. Over HTTP
        the content is the body of `POST /v1/upload?file_name=NAME`."""
        ...

    def remove_data(self, data: str) -> None:
        """Delete an imported set. Raises `WrongInput` for one of the house."""
        ...

    def start_task(self, task: Task) -> TaskInfo:
        """Begin work that takes longer than an answer. What would come out the same is not done again: the answer is
        then the task that did it."""
        ...

    def task(self, task_id: str) -> TaskInfo: ...
    def cancel_task(self, task_id: str) -> None:
        """End a task, leaving nothing half done; a bulk's showers so far are kept, to go on from."""
        ...

    def remove_task(self, task_id: str) -> None:
        """Delete a task that has ended, with all that came out of it. Raises `WrongInput` while it waits or runs."""
        ...

    def task_arrays(self, task_id: str) -> Arrays:
        """What came out of a simulation: showers (n,H,W) [photons], conditions (n,9), cpu_seconds (n,), pdg,
        replica. meta: `label`, `notes`, `seconds` with the start of the process.

        Of an evaluation of showers, a row a primary in ascending id: primary_id (P,), row (P,) of its first simulated
        shower, pdg, conditions (P,9), impact_mm (P,2), simulated (P,R,5) and generated (P,R',5) channel sums
        [photons], mae (P,) and mae_floor (P,) [photons]; radius_mm (K+1,) edges with profile_simulated,
        profile_generated (K,) and their errors profile_simulated_error, profile_generated_error (K,) [share of light];
        correlation_simulated, correlation_generated (5,5). Other kinds of data have primary_id, row and conditions.
        Raises `NotFound` before its end."""
        ...

    def runs(self) -> list[RunInfo]: ...
    def status(self, run: str) -> RunInfo: ...
    def submit(self, spec: TrainSpec) -> str: ...
    def history(self, run: str, since: int = -1) -> History: ...
    def cancel(self, run: str) -> None:
        """Stop at the next step, keeping a checkpoint to resume from; takes a queued run out of the queue."""
        ...

    def pause(self, run: str) -> None: ...
    def step(self, run: str) -> None:
        """One optimisation step of a paused run."""
        ...

    def resume(self, run: str) -> None:
        """Go on: of a paused run at once, of an ended one from its last checkpoint."""
        ...

    def remove(self, run: str) -> None: ...

    def generate(self, request: GenerateRequest) -> Arrays:
        """showers (N,H,W) float32 [photons], conditions (N,9), channels (N,5), impact_mm (N,2). meta: `ms` in
        total, `model`, `data`, `label`, `convention`, `seed`, `ood` (share of training particles nearer to their
        neighbours than this one is to its own; 1 = further out than all), `warnings`, with `walk` also `directions`:
        how they were found. With `moments`: mean, sigma (rows,H,W) float32 [photons] and photon_sum (N,) instead of
        showers."""
        ...

    def scan(self, request: ScanRequest) -> Arrays:
        """Light against energy, photon sum first and then the five channels: energy_gev (K,), mean, mean_error, sigma,
        sigma_error (K,6) [photons] over the n showers of each energy, errors from their scatter. With `simulated`, by
        ranges of energy with at least some showers: simulated_energy_gev (B,) their mean energy,
        simulated_low_gev and simulated_high_gev (B,), simulated_n (B,), then simulated_mean, …_mean_error, …_sigma,
        …_sigma_error (B,6) of the photons at each range's mean energy (light scaled shower by shower to it), and
        matched_mean, … of showers generated at the very conditions of each. Of those simulated the species is the
        particle's, and the impact point the nearest to its. meta: `label`, `radius_mm` (how far from the particle's
        impact point theirs lie), `showers`, `warnings`, `ms`."""
        ...

    def samples(self, run: str, step: int | None = None) -> Arrays:
        """The strip: eight validation particles at fixed noise, from a checkpoint: simulated, generated (8,H,W),
        reconstructed where the model encodes, conditions, pdg. Of images one a class, of points a cloud."""
        ...

    def encode(self, run: str, data: str, rows: list[int], step: int | None = None) -> Arrays:
        """Latent codes of given showers: latent (n,d)."""
        ...

    def decode(
        self,
        run: str,
        latent: list[list[float]],
        step: int | None = None,
        conditions: list[list[float]] | None = None,
    ) -> Arrays:
        """Expected showers of given latent codes: showers (n,H,W). conditions: a row a code, for decoders that see
        them; without, the median of the training data."""
        ...

    def map(self, request: MapRequest) -> Arrays:
        """The map, computed once in the background and kept with the run. Returns at once with what there is:
        xy (2n,2), layer (2n; 0 data, 1 generated), row (data-set row that it is, or whose conditions it has),
        conditions, density (2n; logarithm of generated over simulated neighbours in the feature space, 0 where both
        are equally many). Of showers pdg, energy, photon_sum, impact_mm (2n,2). In the space of codes also latent
        (2n,d). meta: `state` (`queued`, `running`, `done`, `failed`), `progress` 0–1, `step`, `epoch`, `space`,
        `eta_s`, `error`."""
        ...

    def map_showers(self, request: MapRequest, points: list[int]) -> Arrays:
        """The examples behind points of a map (at most 5 000), simulated ones as they are and generated ones as the
        model drew them, or expects them where the point is a code: showers (n,H,W), conditions, row, layer."""
        ...

    def cloud(self, request: CloudRequest) -> Arrays:
        """Points of a model of a toy set: points (n,2), distance (n,) of each to the set's manifold, off (n,) bool:
        farther than `reach`; target (n,2): as many exact ones, never trained on. meta: `w1`: exact Wasserstein
        distance, Euclidean cost, of points to target; `w1_floor`, `w1_floor_spread`: mean and standard deviation over
        pairs of exact clouds of this size; `off`, `off_error` (binomial), `off_floor`: shares off the manifold;
        `reach`, `gaps` (whether the set's pieces lie apart), `clusters` (K, 0 where there are none), `latents`,
        `model`, `data`, `label`, `step`, `epoch`, `seed`, `ms`. Raises `WrongInput` for data without a known manifold
        and for latents that the model has not."""
        ...

    def partition(self, request: PartitionRequest) -> Arrays:
        """The plane by clusters of codes: cluster (side,side), rows from low y to high, columns from low x to high, at
        the middles of equal cells; count (K,) training codes in each. meta: `clusters` (K), `trained` (K of the
        mapping networks), `step`, `epoch`. Raises `WrongInput` for models without clusters and for other data than
        points of the plane."""
        ...

    def evaluate(self, request: EvaluateRequest) -> Report:
        """Metrics alone, at once. What a page shows is an `EvaluateTask`: it has progress, and is kept with the run."""
        ...

    def report(self, task_ids: list[str]) -> bytes:
        """Finished evaluations (one to six) of the same primaries as one HTML page that stands alone: provenance,
        tables with errors and floors, channels with ratio panels, breakdowns, times. Raises `NotFound` before their
        end, `WrongInput` where they judge different primaries or readings."""
        ...

    def benchmarks(self) -> list[Benchmark]:
        """Records of `showerscope bench`: those of the house, then those of this home, newest first."""
        ...

    def broken(self) -> list[BrokenGenerator]:
        """Which metric catches which broken generator, by the record of `showerscope bench broken`; the first is the
        unbroken control. Empty where there is no record."""
        ...

    def export(self, request: GenerateRequest, format: FileFormat) -> bytes:
        """The showers of `generate` as a file (csv: conditions, channels and photon sum, no pictures)."""
        ...
