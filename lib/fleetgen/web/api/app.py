"""Owns putting the application together: the API's routes, the metrics, and the answers to faults."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import choose_encoder

from fleetgen import __version__
from fleetgen.supervision.extras import has_page
from fleetgen.web.api.changing import changing
from fleetgen.web.api.control import Control, Of
from fleetgen.web.api.problems import answer_problems
from fleetgen.web.api.reading import reading


def create_app(control: Control) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="fleetgen control",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.control = control
    app.include_router(reading, prefix="/api")
    app.include_router(changing, prefix="/api")
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.add_api_route("/", _root, include_in_schema=False)
    answer_problems(app)
    return app


async def _root() -> PlainTextResponse:
    """Say how to get the page; where there is one, it answers here itself."""
    get = (
        "set dashboard = true in [control]"
        if has_page()
        else "pip install 'fleetgen[dashboard]', then `fleetgen reload`"
    )
    return PlainTextResponse(f"There is no page here: {get}. The API is at /api/health.\n")


async def _metrics(request: Request, control: Of) -> Response:
    """Return the metrics in the form that was asked for: OpenMetrics, or Prometheus' own text."""
    try:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
    except ValueError:  # a version that is none
        encode, content_type = choose_encoder("")
    return Response(encode(control.registry), headers={"content-type": content_type, "vary": "Accept"})
