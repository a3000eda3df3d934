"""Owns how faults are answered: a code for programs, a sentence for people, and the status that fits."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from fleetgen.cadence.clock import system_now
from fleetgen.domain.records import iso
from fleetgen.errors import FleetgenError, NotYet, UsageError
from fleetgen.generation.lifecycle import WrongDataset
from fleetgen.storage.files import is_disk_fault, remedy_of
from fleetgen.web.api.changing import changing
from fleetgen.web.api.control import control_of
from fleetgen.web.api.reading import reading


def answer_problems(app: FastAPI) -> None:
    """Let an application answer every fault in one form."""
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(FleetgenError, _fleetgen_problem)
    app.add_exception_handler(OSError, _system_problem)
    app.add_exception_handler(Exception, _failure)


def _problem(status: int, error: str, detail: str, headers: Any = None) -> JSONResponse:
    return JSONResponse(
        {"error": error, "detail": detail, "timestamp": iso(system_now())}, status_code=status, headers=headers
    )


async def _http_problem(request: Request, fault: Any) -> JSONResponse:
    if isinstance(fault.detail, dict):
        return _problem(fault.status_code, fault.detail["error"], fault.detail["detail"], fault.headers)
    code = HTTPStatus(fault.status_code).phrase.lower().replace(" ", "_")
    detail = fault.detail
    if fault.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing here; /api/openapi.json lists what there is."
    headers = fault.headers
    if fault.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = _allowed(request, headers["Allow"])
    return _problem(fault.status_code, code, detail, headers)


def _allowed(request: Request, known: str) -> dict[str, str]:
    """Return the header with all methods of a path; the framework knows those of its first route alone."""
    path = request.url.path.removeprefix("/api")
    routes = [each for each in (*reading.routes, *changing.routes) if isinstance(each, APIRoute)]
    methods = {method for each in routes if each.path_regex.match(path) for method in each.methods or ()}
    methods = methods or set(known.split(", "))
    methods |= {"HEAD"} if "GET" in methods else set()  # answered by whoever answers a GET
    return {"allow": ", ".join(sorted(methods))}


async def _bad_request(request: Request, fault: Any) -> JSONResponse:
    if request.method in ("POST", "PUT") and "json" not in request.headers.get("content-type", "") and fault.body:
        return _problem(
            422, "invalid_request", "Send the body as JSON, with the header `Content-Type: application/json`."
        )
    told = "; ".join(f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in fault.errors())
    return _problem(422, "invalid_request", told)


async def _fleetgen_problem(request: Request, fault: Any) -> JSONResponse:
    if isinstance(fault, WrongDataset):
        return _problem(409, "wrong_dataset", str(fault))
    if isinstance(fault, UsageError):
        return _problem(422, "invalid_request", str(fault))
    if isinstance(fault, NotYet):
        return _problem(503, "busy", str(fault), {"retry-after": "1"})
    return _problem(503, "unavailable", str(fault))


async def _system_problem(request: Request, fault: Any) -> JSONResponse:
    if not is_disk_fault(fault):
        return await _failure(request, fault)
    return _problem(503, "cannot_write", f"Cannot write: {fault.strerror}. {remedy_of(fault)}")


async def _failure(request: Request, fault: Any) -> JSONResponse:
    control_of(request).log.error("A request failed", kind="failed", path=request.url.path[:200], exc_info=fault)
    return _problem(500, "internal_error", "The request failed; the log of control says why.")
