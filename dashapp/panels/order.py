"""What an experiment will take, in words: said before it starts."""

from __future__ import annotations

from dashapp.experiments.orders import Order, seconds_for
from dashapp.model.config import GPT2Config


def awaited(order: Order, config: GPT2Config) -> str:
    """What stands below a figure while its experiment is waited for."""
    return f"Being computed: the model runs up to {order.n_passes:,} times, {how_long(order, config)} on this machine."


def how_long(order: Order, config: GPT2Config) -> str:
    """About how long an order takes here."""
    seconds = seconds_for(order, d_vocab=config.d_vocab)
    if seconds < 1:
        return "about a second"
    return f"about {seconds:.0f} s" if seconds < 100 else f"about {seconds / 60:.0f} min"
