"""Owns what all dashboards have around their panels: variables, annotations, links; leaves the panels to panels.py."""

from collections.abc import Iterable
from typing import Any

from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from dashboards.expressions import JOB, of
from dashboards.panels import SOURCE, Part

TAG = "fleetgen"
PAGE = "http://127.0.0.1:18000"
SOURCE_UID = "fleetgen-prometheus"


def dashboard_of(name: str, text: str, panels: Iterable[Part]) -> dashboard.Dashboard:
    """Return a dashboard; each line of panels is as wide as the grid."""
    made = builders.Dashboard(f"fleetgen: {name}").uid(f"fleetgen-{name}").description(text).tags([TAG])
    made.time("now-1h", "now").refresh("10s").timezone("browser").tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
    made.variables(_variables()).annotations(_annotations()).links(_links())
    for panel in panels:
        if isinstance(panel, builders.Row):
            made.with_row(panel)
        else:
            made.with_panel(panel)
    return made.build()


def _variables() -> list[Builder[dashboard.VariableModel]]:
    return [_source(), _set(), _process(), _page()]


def _source() -> builders.DatasourceVariable:
    chosen = dashboard.VariableOption(selected=True, text="fleetgen", value=SOURCE_UID)
    return builders.DatasourceVariable("datasource").label("Prometheus").type("prometheus").current(chosen)


def _set() -> builders.QueryVariable:
    return _asked("job", "Set", "label_values(fleetgen_build_info, job)")


def _process() -> builders.QueryVariable:
    everything = dashboard.VariableOption(selected=True, text=["All"], value=["$__all"])
    asked = _asked("process", "Process", f"label_values(fleetgen_build_info{{{JOB}}}, process)")
    return asked.multi(True).include_all(True).all_value(".*").current(everything)


def _asked(name: str, label: str, query: str) -> builders.QueryVariable:
    asked = builders.QueryVariable(name).label(label).query(query).datasource(SOURCE)
    asked.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return asked.sort(dashboard.VariableSort.ALPHABETICAL_ASC)


def _page() -> builders.TextBoxVariable:
    chosen = dashboard.VariableOption(selected=True, text=PAGE, value=PAGE)
    return builders.TextBoxVariable("page").label("Page").default_value(PAGE).current(chosen).options([chosen])


class _Annotation(dashboard.AnnotationQuery):
    """An annotation with what the data source Prometheus reads beyond the SDK's model."""

    def __init__(self, name: str, color: str, title: str, expression: str, value_is_time: bool = False) -> None:
        super().__init__(name=name, datasource=SOURCE, icon_color=color, expr=expression)
        self._title, self._value_is_time = title, value_is_time

    def build(self) -> dashboard.AnnotationQuery:
        return self

    def to_json(self) -> dict[str, Any]:
        own = {"step": "10s", "titleFormat": self._title, "useValueForTime": self._value_is_time}
        return super().to_json() | own


def _annotations() -> list[Builder[dashboard.AnnotationQuery]]:
    """A series marks the instants at which its value is above 0: so each has a value, 0, while nothing happens."""
    return [_switches(), _pauses(), _reloads()]


def _switches() -> Any:
    active = of("fleetgen_mode_active")
    changed = f"max by (mode) (changes({active}[$__rate_interval]) * {active})"
    return _Annotation("Mode switches", "purple", "Mode is now {{mode}}", changed)


def _pauses() -> Any:
    return _Annotation("Pauses", "yellow", "Paused", f"max by (job) ({of('fleetgen_paused')})")


def _reloads() -> Any:
    read = f"max by (job) ({of('fleetgen_config_last_reload_success_timestamp_seconds')}) * 1000"
    return _Annotation("Configuration reads", "blue", "Configuration was read", read, value_is_time=True)


def _links() -> list[Builder[dashboard.DashboardLink]]:
    others = builders.DashboardLink("fleetgen").type(dashboard.DashboardLinkType.DASHBOARDS).tags([TAG])
    page = builders.DashboardLink("Page of the set").type(dashboard.DashboardLinkType.LINK).url("${page}")
    return [
        others.icon("external link")
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
        .tooltip("The other dashboards"),
        page.icon("dashboard")
        .target_blank(True)
        .tooltip("Its state, batches and logs; pause, resume, switch the mode"),
    ]
