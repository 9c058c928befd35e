"""Part of converted scripts with ``await`` outside functions: the notebook's event loop."""

from __future__ import annotations

# -- embedded from here -------------------------------------------------------------------------
import typing as _t

_nb_loop: _t.Any = None


def _nb_await(awaitable: _t.Any) -> _t.Any:
    """``await`` outside a function: one event loop for the whole script, as in a notebook."""
    import asyncio

    global _nb_loop
    if _nb_loop is None:
        _nb_loop = asyncio.new_event_loop()
        asyncio.set_event_loop(_nb_loop)

    async def result() -> _t.Any:
        return await awaitable

    return _nb_loop.run_until_complete(result())
