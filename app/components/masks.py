"""Read-out masks: which channel each fibre belongs to, as pictures."""

from __future__ import annotations

import numpy as np

from app.charts import colour, picture
from engine.schema import Convention


def mask_figure(convention: Convention, width: int = 220) -> str:
    return picture.figure_html(
        picture.mask_url(np.array(convention.channel), colour.CHANNELS),
        f"<b>{convention.name}</b>",
        f"Which channel each fibre belongs to in convention {convention.name}",
        width,
    )


def channel_legend() -> str:
    """The colours of the masks, named."""
    items = "".join(
        f'<span class="ss-dot" style="border-radius:0;background:{colour.CHANNELS[k]};margin-left:1rem"></span>'
        f"channel {k + 1}"
        for k in range(5)
    )
    return f'<p style="font-size:0.8rem">{items}</p>'
