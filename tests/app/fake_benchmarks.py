"""What the fake engine knows of benchmarks: a quick table of ZDC showers with traps, and one of digits."""

from engine.schema import Benchmark, BenchmarkRow, MetricInfo, MetricValue, PublishedRow

ZDC_METRICS = [
    MetricInfo(
        name="dispersion", title="Dispersion error δ", short="δ", unit="", direction="lower", formula="|M_gen − M_sim|",
        group="replicas",
    ),
    MetricInfo(
        name="mae", title="Channel MAE", short="MAE", unit="photons", direction="lower",
        formula="mean over particles and channels of |ch_sim − ch_gen|", source="arXiv 2006.06704",
    ),
    MetricInfo(
        name="spread", title="Spread of replicas", short="spread", unit="", direction="one",
        formula="σ of generated replicas / σ of simulated replicas", group="replicas",
    ),
    MetricInfo(
        name="wasserstein", title="Channel Wasserstein", short="W₁", unit="photons", direction="lower",
        formula="W₁ per channel between the two distributions, averaged", source="arXiv 2006.06704",
    ),
    MetricInfo(
        name="mae_cond", title="MAE of means", short="MAE, means", unit="", direction="lower", formula="weighted",
        group="replicas",
    ),
    MetricInfo(
        name="radial_profile", title="Radial profile", short="profile", unit="", direction="lower", formula="distance",
        group="shape",
    ),
    MetricInfo(
        name="fpd", title="Fréchet physics distance", short="FPD", unit="", direction="lower", formula="|μ₁ − μ₂|² + …",
        group="features",
    ),
    MetricInfo(
        name="coverage", title="Coverage", unit="", direction="higher", formula="share of simulated neighbours",
        group="features",
    ),
    MetricInfo(
        name="auc", title="Classifier's AUC", short="AUC", unit="", direction="lower", formula="area under the curve",
        group="classifiers", slow=True,
    ),
]  # fmt: skip
MNIST_METRICS = [
    MetricInfo(
        name="accuracy", title="Accuracy of labels", unit="%", direction="higher", formula="share as asked",
        kinds=["images"], group="pictures",
    ),
    MetricInfo(
        name="fid", title="FID, LeNet features", short="FID", unit="", direction="lower", formula="|μ1 − μ2|²",
        kinds=["images"], group="pictures",
    ),
    MetricInfo(
        name="sinkhorn_features", title="Sinkhorn of features", unit="", direction="lower", formula="S_ε",
        kinds=["images"], group="pictures",
    ),
]  # fmt: skip
PAPER = "arXiv 2006.06704"
PUBLISHED = [
    PublishedRow(model="conditional VAE", mae=23.13, mae_std=65.53, wasserstein=14.92, source=PAPER),
    PublishedRow(model="conditional e2e SAE", mae=13.5, mae_std=29.8, wasserstein=7.91, source=PAPER),
    PublishedRow(model="conditional DCGAN", mae=68.27, mae_std=180.45, wasserstein=6.95, source=PAPER),
    PublishedRow(model="original data (again)", mae=6.59, wasserstein=2.89, source=PAPER, floor=True),
    PublishedRow(model="cond VAE", source=PAPER, bench="mnist", others={"fid": 6.61, "sinkhorn_features": 30.13}),
    PublishedRow(
        model="original", source=PAPER, bench="mnist", others={"fid": 0.33, "sinkhorn_features": 0.0}, floor=True
    ),
]


def photons(value: float, error: float, floor: float) -> MetricValue:
    return MetricValue(value=value, error=error, unit="photons", floor=floor, floor_error=floor / 10)


def zdc_row(title: str, model: str, mae: float, wasserstein: float, spread: float, **more: object) -> BenchmarkRow:
    """A row whose errors are a twentieth of its values."""
    return BenchmarkRow.model_validate(
        {
            "title": title, "model": model, "seeds": [0], "train_seconds": 30.0, "ms_per_shower": 0.06,
            "parameters": 349_310, "showers": 3000, "epochs": 1,
            "metrics": {
                "dispersion": MetricValue(value=0.3, error=0.005, unit=""),
                "mae": photons(mae, mae / 20, 13.9),
                "spread": MetricValue(value=spread, error=0.05, unit="", floor=1.0, floor_error=0.0),
                "wasserstein": photons(wasserstein, wasserstein / 20, 2.7),
            },
            **more,
        }
    )  # fmt: skip


QUICK = Benchmark(
    name="table1_quick", bench="table1", title="Table 1, ZDC", data="zdc_fast", seeds=[0], convention="paper",
    label="parametrised Monte Carlo fitted to Geant4 11.4.1 showers (zdc_fast)", house=True, quick=True,
    budget={"data": "zdc_fast", "showers": 20000, "primaries": 1000}, commit="8416c8ee2dee",
    command="showerscope bench table1 --data zdc_fast --quick", versions={"torch": "2.13.0+cpu"},
    rows=[
        zdc_row("cond. VAE", "vae", 28.5, 22.5, 1.40, published="cond VAE"),
        zdc_row("cond. e2e SAE", "e2e_sae", 16.9, 4.3, 1.10, published="cond e2e SAE", config={
            "beta": 0.01, "batch": 256, "gone": 1, "derived": False}),
        zdc_row("cond. SWAE", "swae", 20.3, 10.6, 0.95, ms_per_shower=0.05),
        zdc_row("cond. DCGAN", "dcgan", 962.7, 930.0, 21.4, published="cond DCGAN", train_seconds=84.0),
        zdc_row("flow matching", "flow_matching", 16.2, 5.6, 1.12, ms_per_shower=11.9),
        zdc_row("mean of all", "vae", 9.0, 30.0, 0.01),
    ],
)  # fmt: skip


def digits_row(title: str, model: str, fid: float, **more: object) -> BenchmarkRow:
    metrics = {
        "accuracy": MetricValue(value=97.0, error=0.2, unit="%", floor=98.9, floor_error=0.1),
        "fid": MetricValue(value=fid, error=0.1, unit="", floor=0.3, floor_error=0.05),
        "sinkhorn_features": MetricValue(value=5 * fid, error=0.5, unit="", floor=0.0, floor_error=0.0),
    }
    return BenchmarkRow.model_validate({"title": title, "model": model, "seeds": [0, 1, 2], "metrics": metrics, **more})


MNIST = Benchmark(
    name="home:mnist-mnist-20261121T120000Z", bench="mnist", title="Table 1, MNIST", data="mnist", label="MNIST digits",
    budget={"data": "mnist", "images": 500000}, seeds=[0, 1, 2], commit="abc", made="2026-11-21T12:00:00Z",
    command="showerscope bench mnist",
    rows=[digits_row("cond. VAE", "vae", 6.0, published="cond VAE"), digits_row("cond. DCGAN", "dcgan", 1.2)],
)  # fmt: skip
