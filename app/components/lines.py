"""The Python lines and the command line that make the same showers again."""

from __future__ import annotations

import shlex

from engine.schema import PARTICLE_OPTIONS, GenerateRequest


def python_lines(request: GenerateRequest) -> str:
    """Lines that generate in their own process, from the same models as the engine."""
    arguments = [f"run={request.run!r}"]
    if request.particle is not None:
        words = [f"{name}={value!r}" for name, value in request.particle.model_dump().items()]
        first, second = ", ".join(words[:4]), ", ".join(words[4:])
        arguments.append(f"particle=Particle(\n        {first},\n        {second},\n    )")
    arguments += [
        f"{name}={value!r}" for name, value in request.model_dump().items()
        if name == "seed" or (name not in ("run", "particle") and value != GenerateRequest.model_fields[name].default)
    ]  # fmt: skip
    body = "".join(f"    {argument},\n" for argument in arguments)
    shown = "mean, sigma = made['mean'], made['sigma']" if request.moments else "showers = made['showers']"
    return (
        "from engine.schema import GenerateRequest, Particle\n"
        "from engine.service import Service\n\n"
        f"made = Service().generate(GenerateRequest(\n{body}))\n"
        f"{shown}  # photons, (n, x, y)\n"
    )


def command_line(request: GenerateRequest, out: str = "showers.npz") -> str:
    """What makes the showers of one particle on a command line. A walk through noise has no option there.

    Raises `ValueError` without a particle.
    """
    if request.particle is None:
        raise ValueError("the command line takes one particle")
    parts = [("run", request.run)]
    parts += [(option, f"{getattr(request.particle, name)}") for option, name in PARTICLE_OPTIONS.items()]
    parts += [("step", str(request.step))] if request.step is not None else []
    parts += [("n", str(request.n)), ("seed", str(request.seed)), ("channels", request.convention), ("out", out)]
    words = (
        f"--{name}={value}" if value.startswith("-") else f"--{name} {shlex.quote(value)}" for name, value in parts
    )
    return " ".join(["showerscope generate", *words])
