"""Owns the kinds of panels and their common form; leaves what they show to each dashboard, and the frame to frame.py."""

from dataclasses import dataclass
from typing import TypeVar

from grafana_foundation_sdk.builders import (
    bargauge,
    heatmap,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import (
    common as common_builders,
)
from grafana_foundation_sdk.builders import (
    dashboard as builders,
)
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from dashboards.alerts import Limit, limits
from dashboards.expressions import Query

SOURCE = dashboard.DataSourceRef(type_val="prometheus", uid="${datasource}")

Panel = TypeVar("Panel", bargauge.Panel, heatmap.Panel, stat.Panel, statetimeline.Panel, table.Panel, timeseries.Panel)


Part = builders.Row | bargauge.Panel | heatmap.Panel | stat.Panel | statetimeline.Panel | table.Panel | timeseries.Panel


@dataclass(frozen=True, slots=True)
class About:
    """What a panel says of itself. Its number never changes: links to the panel contain it."""

    number: int
    title: str
    text: str
    unit: str
    alert: str | None = None
    width: int = 12
    height: int = 8

    @property
    def limit(self) -> Limit | None:
        """The limit of the alert that watches the same quantity."""
        return None if self.alert is None else limits()[self.alert]

    @property
    def description(self) -> str:
        """The text, and which alert the threshold is of."""
        return self.text if self.alert is None else f"{self.text} The threshold is that of the alert {self.alert}."


def row(number: int, title: str) -> builders.Row:
    """Return a headline."""
    return builders.Row(title).id(number)


def series(
    about: About, *queries: Query, stacked: bool = False, bars: bool = False, unstacked: str | None = None
) -> timeseries.Panel:
    """Return lines over time; stacked ones may have one line, named by its legend, that they are held against."""
    panel = _common(timeseries.Panel(), about).color_scheme(_color(dashboard.FieldColorModeId.PALETTE_CLASSIC))
    panel = _with_legend(panel.fill_opacity(10).line_width(1).axis_soft_min(0))
    if about.limit:
        panel.thresholds_style(common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED))
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A")).fill_opacity(50)
    if bars:
        panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(70)
    if unstacked:
        panel.override_by_name(unstacked, _ALONE)
    return _asking(panel, queries)


_ALONE = [
    dashboard.DynamicConfigValue("custom.stacking", {"group": "A", "mode": "none"}),
    dashboard.DynamicConfigValue("custom.fillOpacity", 0),
    dashboard.DynamicConfigValue("custom.lineStyle", {"dash": [10, 10], "fill": "dash"}),
]


def _with_legend(panel: timeseries.Panel) -> timeseries.Panel:
    tooltip = common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI)
    return panel.legend(_legend()).tooltip(tooltip.sort(common.SortOrder.DESCENDING))


def _legend() -> common_builders.VizLegendOptions:
    legend = common_builders.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
    return legend.placement(common.LegendPlacement.BOTTOM).calcs([])


def number(about: About, *queries: Query) -> stat.Panel:
    """Return one number for each series, as it is at the end of the time range."""
    panel = _common(stat.Panel(), about).color_scheme(_color(dashboard.FieldColorModeId.THRESHOLDS))
    panel.graph_mode(common.BigValueGraphMode.NONE).text_mode(common.BigValueTextMode.VALUE_AND_NAME)
    return _asking_once(panel.reduce_options(_last()), queries)


def number_of_last(about: About, span: str, *queries: Query) -> stat.Panel:
    """Return one number for each series, of a span up to now, whatever time range is chosen."""
    return number(about, *queries).time_from(span)


def bars(about: About, *queries: Query) -> bargauge.Panel:
    """Return one bar for each series, as it is at the end of the time range."""
    panel = _common(bargauge.Panel(), about).color_scheme(_color(dashboard.FieldColorModeId.THRESHOLDS)).min(0)
    panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    return _asking_once(panel.reduce_options(_last()), queries)


def states(about: About, names: dict[int, tuple[str, str]], *queries: Query) -> statetimeline.Panel:
    """Return a band of states for each series; `names` has the word and the color of each value."""
    results = {
        str(value): dashboard.ValueMappingResult(text=text, color=color, index=place)
        for place, (value, (text, color)) in enumerate(names.items())
    }
    panel = _common(statetimeline.Panel(), about).color_scheme(_color(dashboard.FieldColorModeId.THRESHOLDS))
    panel.mappings([dashboard.ValueMap(options=results)]).show_value(common.VisibilityMode.NEVER).merge_values(True)
    panel.line_width(0).fill_opacity(70).legend(_legend())
    return _asking(panel, queries)


def heat(about: About, query: Query) -> heatmap.Panel:
    """Return how observations of a histogram are spread, over time. The unit is that of the vertical axis."""
    panel = _common(heatmap.Panel(), about)
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    panel.y_axis(heatmap.YAxisConfig().unit(about.unit)).cell_values(heatmap.CellValues().unit("short").decimals(0))
    panel.scale_distribution(common_builders.ScaleDistributionConfig().type(common.ScaleDistribution.LINEAR))
    panel.exemplars_color("rgba(80,140,255,0.8)").show_legend().show_tooltip().calculate(False)
    return panel.with_target(_target("A", query).format(PromQueryFormat.HEATMAP))


def rows_of_labels(about: About, query: Query) -> table.Panel:
    """Return a table of the labels of a metric that always has the value 1."""
    hidden = dashboard.DataTransformerConfig(
        id_val="organize",
        options={"excludeByName": {"Time": True, "Value": True}, "indexByName": {}, "renameByName": {}},
    )
    panel = _common(table.Panel(), about).show_header(True).with_transformation(hidden)
    return panel.with_target(_target("A", query).instant().format(PromQueryFormat.TABLE).exemplar(False))


def _common(panel: Panel, about: About) -> Panel:
    panel.id(about.number).title(about.title).description(about.description).unit(about.unit).datasource(SOURCE)
    return panel.span(about.width).height(about.height).thresholds(_thresholds(about.limit))


def _thresholds(limit: Limit | None) -> builders.ThresholdsConfig:
    if limit is None:
        steps = [dashboard.Threshold(None, "text")]
    else:
        below, beyond = ("green", limit.color) if limit.above else (limit.color, "green")
        steps = [dashboard.Threshold(None, below), dashboard.Threshold(limit.step, beyond)]
    return builders.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def _asking(panel: Panel, queries: tuple[Query, ...]) -> Panel:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(letter, query))
    return panel


def _asking_once(panel: Panel, queries: tuple[Query, ...]) -> Panel:
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel.with_target(_target(letter, query).instant().exemplar(False))
    return panel


def _target(letter: str, query: Query) -> prometheus.Dataquery:
    target = prometheus.Dataquery().ref_id(letter).expr(query.expression).legend_format(query.legend)
    return target.range().exemplar(query.has_exemplars).datasource(SOURCE)


def _color(mode: dashboard.FieldColorModeId) -> builders.FieldColor:
    return builders.FieldColor().mode(mode)


def _last() -> common_builders.ReduceDataOptions:
    return common_builders.ReduceDataOptions().calcs(["lastNotNull"])
