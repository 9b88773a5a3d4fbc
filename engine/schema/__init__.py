"""The seam between app and engine: the types that both sides speak, and the `Engine` protocol.

Nothing here imports torch, so the app's process stays light. Small answers are pydantic models (JSON on the
wire); answers with pictures are `Arrays` (safetensors on the wire, so that a byte from outside is never executed).
"""

from engine.schema.benchmarks import Benchmark as Benchmark
from engine.schema.benchmarks import BenchmarkRow as BenchmarkRow
from engine.schema.benchmarks import BrokenGenerator as BrokenGenerator
from engine.schema.benchmarks import Catch as Catch
from engine.schema.catalogue import CONDITIONS as CONDITIONS
from engine.schema.catalogue import UNITS as UNITS
from engine.schema.catalogue import Catalogue as Catalogue
from engine.schema.catalogue import ConditionInfo as ConditionInfo
from engine.schema.catalogue import Convention as Convention
from engine.schema.catalogue import DataKind as DataKind
from engine.schema.catalogue import DatasetInfo as DatasetInfo
from engine.schema.catalogue import DetectorInfo as DetectorInfo
from engine.schema.catalogue import FormField as FormField
from engine.schema.catalogue import Geant4Info as Geant4Info
from engine.schema.catalogue import Health as Health
from engine.schema.catalogue import MetricInfo as MetricInfo
from engine.schema.catalogue import ModelInfo as ModelInfo
from engine.schema.catalogue import ParticleInfo as ParticleInfo
from engine.schema.catalogue import PublishedRow as PublishedRow
from engine.schema.catalogue import flat_config as flat_config
from engine.schema.evaluation import Calibration as Calibration
from engine.schema.evaluation import EvaluateRequest as EvaluateRequest
from engine.schema.evaluation import MetricValue as MetricValue
from engine.schema.evaluation import Part as Part
from engine.schema.evaluation import Reading as Reading
from engine.schema.evaluation import Report as Report
from engine.schema.evaluation import Timing as Timing
from engine.schema.protocol import Engine as Engine
from engine.schema.runs import Checkpoint as Checkpoint
from engine.schema.runs import GenerateRequest as GenerateRequest
from engine.schema.runs import History as History
from engine.schema.runs import MapRequest as MapRequest
from engine.schema.runs import Particle as Particle
from engine.schema.runs import RunInfo as RunInfo
from engine.schema.runs import Series as Series
from engine.schema.runs import Split as Split
from engine.schema.runs import State as State
from engine.schema.runs import TrainSpec as TrainSpec
from engine.schema.tasks import CheckTask as CheckTask
from engine.schema.tasks import DetectorName as DetectorName
from engine.schema.tasks import EvaluateTask as EvaluateTask
from engine.schema.tasks import Facts as Facts
from engine.schema.tasks import FileFormat as FileFormat
from engine.schema.tasks import Finding as Finding
from engine.schema.tasks import ImportReport as ImportReport
from engine.schema.tasks import ImportTask as ImportTask
from engine.schema.tasks import Overrides as Overrides
from engine.schema.tasks import PrepareTask as PrepareTask
from engine.schema.tasks import RefusedRow as RefusedRow
from engine.schema.tasks import SimulateTask as SimulateTask
from engine.schema.tasks import Task as Task
from engine.schema.tasks import TaskInfo as TaskInfo
from engine.schema.tasks import Validation as Validation
from engine.schema.tasks import ValidationCurve as ValidationCurve
from engine.schema.tasks import ValidationRow as ValidationRow
from engine.schema.wire import Arrays as Arrays
from engine.schema.wire import EngineDown as EngineDown
from engine.schema.wire import EngineError as EngineError
from engine.schema.wire import NotFound as NotFound
from engine.schema.wire import WrongInput as WrongInput
from engine.schema.wire import read_metadata as read_metadata
