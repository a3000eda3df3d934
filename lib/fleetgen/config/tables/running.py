"""Owns the tables about the set that makes the data: paths, metrics, control, pipeline, supervisor."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from fleetgen.config.sizes import Size
from fleetgen.config.tables.fields import FolderName, Port, Table, allowed, filled, whole


class Paths(Table):
    """Folders; relative ones are relative to the folder of the configuration file."""

    data: FolderName = "../data"
    """The data directory."""
    run: FolderName = "../run"
    """Sockets and pid files."""


class Metrics(Table):
    """Each process serves /metrics on a port of its own."""

    address: Annotated[str, AfterValidator(filled), allowed("an address to listen on, as a string")] = "127.0.0.1"
    """Address to listen on."""
    company_port: Port = 9101
    """Port of the company process."""
    driver_port: Port = 9102
    """Port of the driver process."""
    pipeline_port: Port = 9103
    """Port of the pipeline process."""

    @model_validator(mode="after")
    def _distinct(self) -> "Metrics":
        if len({self.company_port, self.driver_port, self.pipeline_port}) < 3:
            raise ValueError(
                "gives two processes the same port: company_port, driver_port and pipeline_port must differ"
            )
        return self


HostName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._\-]{0,251}[A-Za-z0-9])?$"),
    allowed('a host name without a port, such as "generator" or "fleet.example"'),
]


class Control(Table):
    """The control process: HTTP API and its own metrics."""

    enabled: Annotated[bool, allowed("true or false")] = True
    """Whether the set has a control process."""
    address: Annotated[str, AfterValidator(filled), allowed("an address to listen on, as a string")] = "127.0.0.1"
    """Address to listen on; one that other machines reach needs a token_file, or trust_network."""
    port: Port = 18000
    """Port to listen on."""
    dashboard: Annotated[bool, allowed("true or false")] = True
    """Whether the control process serves the page at /, where the extra `dashboard` is installed."""
    token_file: Annotated[str, AfterValidator(filled), allowed("the path of a file, as a string")] | None = None
    """File with the token that changes over HTTP must bear; relative to this file's folder."""
    host_names: Annotated[
        tuple[HostName, ...], Field(strict=False), allowed('a list of host names, such as ["generator"]')
    ] = ()
    """Further names by which requests may call this machine, such as that of a service or of a proxy."""
    trust_network: Annotated[bool, allowed("true or false")] = False
    """Whether everybody who reaches an address beyond loopback may pause and clean, without a token."""

    @model_validator(mode="after")
    def _guarded(self) -> "Control":
        if self.token_file is None and not self.trust_network and not is_loopback(self.address):
            raise ValueError(
                f"listens on {self.address!r}, which other machines may reach: set token_file to a file with a secret "
                'of at least 16 characters, or address to "127.0.0.1"'
            )
        return self


SparkMemory = Annotated[
    str,
    StringConstraints(pattern=r"^[1-9][0-9]{0,5}[mg]$"),
    allowed('a size as Spark has it, such as "512m" or "2g"'),
]


class Spark(Table):
    """How the Spark engine is started; only with engine = "spark"."""

    master: Annotated[str, AfterValidator(filled), allowed("a master's URL, as a string")] = "local[2]"
    """Where Spark runs: "local[2]" in this process set, "spark://host:7077", "yarn", "k8s://…"."""
    driver_memory: SparkMemory = "1g"
    """Memory of the JVM that the pipeline process starts."""
    executor_memory: SparkMemory = "1g"
    """Memory of each executor of a cluster; what the rules take there is pipeline.memory, beside it."""
    jars: FolderName | None = None
    """Folder with the jars of Delta; absent: Spark fetches them by their Maven coordinates."""
    checkpoint: FolderName | None = None
    """Folder that all executors share, for the judged rows of a pass; absent: each executor keeps its own."""
    conf: Mapping[str, Annotated[str, allowed("a string")]] = Field(
        {}, json_schema_extra={"allowed": "a table of Spark settings, each a string"}
    )
    """Further settings of Spark, such as "spark.executor.cores"; they go before those that fleetgen chooses."""


class Pipeline(Table):
    """The pipeline process: carries published batches from bronze to silver and gold."""

    enabled: Annotated[bool, allowed("true or false")] = True
    """Whether the set has a pipeline process."""
    engine: Annotated[Literal["embedded", "spark"], allowed('"embedded" or "spark"')] = "embedded"
    """What carries the batches: "embedded" works in the process itself, "spark" on a Spark cluster."""
    memory: Annotated[int, Size(64)] | None = None
    """Memory for the work on batches; absent: up to 300MB, less where the machine or the container has less."""
    spark: Annotated[Spark, allowed("a table")] | None = None
    """How Spark is started; absent: on this machine, with Delta's jars fetched."""


class Supervisor(Table):
    """How supervisord treats the processes."""

    start_retries: Annotated[int, whole(0, 100)] = 5
    """How often a process that cannot be started is tried again."""
    stop_wait_seconds: Annotated[int, whole(1, 3600)] = 10
    """How long a process may take to stop before it is killed."""


def is_loopback(address: str) -> bool:
    """Whether an address is reached from this machine alone."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
