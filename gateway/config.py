"""Settings of the gateway, read once from the environment (`TOLLHOUSE_GATEWAY_…`) and then frozen.

Every queue, body, wait and list has its limit here, with its unit in its name. Secrets are given by the
path of a file that only the service may read.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The gateway's settings; docs/reference/settings.md is made from the descriptions."""

    model_config = SettingsConfigDict(env_prefix="TOLLHOUSE_GATEWAY_", frozen=True, extra="forbid")

    name: str = Field("gateway", description="The name under which the treasury knows this gateway's key.")
    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8700, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that answer calls; OPA needs as much, so one for every two cores.",
    )
    registry_file: Path = Field(description="The JSON file of tool servers, keys and issuers.")
    registry_reread_ms: int = Field(1_000, ge=10, description="How often the registry's file is looked at.")

    # calls
    calls_max: int = Field(1_024, ge=1, description="Calls under way at once in one worker.")
    connections_max: int = Field(
        4_096,
        ge=1,
        description="Callers' connections to one worker; those without a request give way to new ones.",
    )
    header_count_max: int = Field(100, ge=1, description="Headers of a request.")
    header_bytes_max: int = Field(32_768, ge=256, description="Size of a request's head.")
    path_bytes_max: int = Field(4_096, ge=16, description="Length of a tool's path and of its query, each.")
    json_bytes_max: int = Field(1_048_576, ge=2, description="Size of a JSON body, which is read whole.")
    json_depth_max: int = Field(64, ge=1, description="Nesting of a JSON body.")
    body_bytes_max: int = Field(67_108_864, ge=1, description="Size of any other body, which is streamed.")
    head_timeout_s: float = Field(10.0, gt=0, description="Until a request's head must have come.")
    body_timeout_s: float = Field(
        30.0, gt=0, description="Until a JSON body, or a piece of another, must have come."
    )
    write_stall_s: float = Field(
        30.0, gt=0, description="The longest that a caller may take nothing of an answer that waits for it."
    )
    keep_alive_s: int = Field(65, ge=1, description="How long an idle connection is kept.")
    drain_timeout_s: int = Field(20, ge=1, description="How long calls under way may take after SIGTERM.")

    # upstream
    upstream_timeout_s: float = Field(30.0, gt=0, description="Until an upstream must have begun its answer.")
    upstream_connect_timeout_s: float = Field(
        5.0, gt=0, description="Until an upstream must have taken a connection."
    )
    upstream_idle_timeout_s: float = Field(
        300.0, gt=0, description="The longest pause within an upstream's answer."
    )
    upstream_connections_max: int = Field(
        256, ge=1, description="Connections to one upstream from one worker."
    )
    stream_s_max: float = Field(3_600.0, gt=0, description="The longest that a body may stream, either way.")
    stream_bytes_max: int = Field(1_073_741_824, ge=1, description="The largest answer of an upstream.")

    # MCP
    mcp_answer_bytes_max: int = Field(
        16_777_216, ge=2, description="Size of a tool's result over MCP, which is read whole."
    )
    mcp_hosts: tuple[str, ...] = Field(
        (),
        description="Names that callers may use in Host besides loopback's; without any, a gateway that "
        "listens beyond loopback answers to every name.",
    )
    mcp_origins: tuple[str, ...] = Field((), description="Origins of web pages that may call MCP servers.")

    # policy
    opa_url: str = Field("http://127.0.0.1:8181", description="Where OPA answers, for prices and health.")
    opa_socket: Path | None = Field(
        None, description="OPA's Unix socket for decisions; without it they go to opa_url."
    )
    opa_token_file: Path | None = Field(
        None, description="The file of the bearer token that OPA knows this gateway by."
    )
    decision_timeout_ms: int = Field(
        1_000, ge=1, description="Until a decision must have been made, waiting included."
    )
    decision_batch_max: int = Field(32, ge=1, description="Calls that are judged in one question to OPA.")
    decision_queue_max: int = Field(
        2_048, ge=1, description="Calls that wait for OPA; more are refused as overloaded."
    )
    rate_limit_principals_max: int = Field(
        10_000, ge=1, description="Agents whose rate is remembered at once."
    )

    # journal
    journal_dir: Path = Field(description="The folder of the journals, one file a worker.")
    journal_sync: Literal["fsync", "os"] = Field(
        "fsync",
        description="fsync: a record is on disk before its call goes on; os: the system may keep it a while.",
    )
    journal_queue_max: int = Field(
        8_192, ge=1, description="Records that wait to be written; more are refused."
    )
    journal_timeout_ms: int = Field(2_000, ge=1, description="Until a record must be on disk.")
    journal_retention_s: int = Field(
        604_800, ge=0, description="How long records are kept after they were shipped."
    )

    # identity
    jwks_timeout_ms: int = Field(3_000, ge=1, description="Until an issuer's keys must have come.")
    jwks_ttl_s: int = Field(
        300, ge=1, description="How long an issuer's keys are used before they are fetched again."
    )
    jwks_stale_s: int = Field(
        3_600, ge=0, description="How much longer they are used while the issuer is away."
    )
    jwks_refetch_s: int = Field(
        30, ge=1, description="The shortest time between two fetches for an unknown key."
    )
    jwks_bytes_max: int = Field(262_144, ge=2, description="Size of a key set.")
    jwt_bytes_max: int = Field(16_384, ge=64, description="Size of a token.")
    jwt_leeway_s: int = Field(5, ge=0, le=300, description="How far an issuer's clock may be off.")

    # treasury
    treasury_url: str | None = Field(
        None, description="Where the treasury answers; without it every spend is refused."
    )
    treasury_token_file: Path | None = Field(
        None, description="The file of the token that the treasury knows."
    )
    treasury_timeout_ms: int = Field(2_000, ge=1, description="Until the treasury must have answered.")
    treasury_connections_max: int = Field(
        32, ge=1, description="Connections to the treasury from one worker."
    )
    signing_key_file: Path | None = Field(
        None, description="The Ed25519 key (JWK) that warrants are signed with."
    )
    settlement_retry_ms: int = Field(
        1_000, ge=10, description="How often what the treasury has not heard is told again."
    )

    accrual_interval_s: float = Field(
        5.0, gt=0, description="How often a metered call that runs tells the treasury what it has used."
    )

    # events
    nats_url: str | None = Field(
        None, description="Where the journal is shipped to; without it records stay here."
    )
    nats_user: str = Field("gateway", description="The user that NATS knows this gateway by.")
    nats_password_file: Path | None = Field(None, description="The file of that user's password.")
    ship_batch_max: int = Field(
        256, ge=1, description="Records that are shipped before one acknowledgement is awaited."
    )

    # looking in
    open_health: bool = Field(
        False, description="Answer health and metrics to other machines than this one too."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
