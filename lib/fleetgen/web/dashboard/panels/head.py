"""Owns the head of the page: how the set is, in words, and whether the page is live."""

from fleetgen import __version__
from fleetgen.web.dashboard.panel import Panel, as_milliseconds
from fleetgen.web.dashboard.viewing import View


class Head(Panel, component="head.js"):
    """Status with its reasons, mode, seed, uptime and version."""

    def show(self, view: View) -> None:
        """Bring it up to date."""
        health = view.health
        reasons = [{"code": reason.code, "detail": reason.detail} for reason in health.reasons]
        if health.lifecycle.paused:
            why = health.lifecycle.pause_reason
            detail = f"Nothing is published until a resume.{f' Reason: {why}' if why else ''}"
            reasons.insert(0, {"code": "paused", "detail": detail})
        self.put(
            status=health.status,
            mode=health.generation_mode,
            seed=None if health.base_seed is None else str(health.base_seed),
            up=as_milliseconds(health.uptime.start_time),
            version=__version__,
            reasons=reasons,
        )
