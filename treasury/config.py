"""Settings of the treasury and of its relay, read once from the environment and then frozen.

`TOLLHOUSE_TREASURY_…` and `TOLLHOUSE_RELAY_…`. Every queue, body, wait and list has its limit here, with
its unit in its name. Secrets are given by the path of a file that only the service may read.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

LogLevel = Literal["debug", "info", "warning", "error"]


class Settings(BaseSettings):
    """The treasury's settings; docs/reference/settings.md is made from the descriptions."""

    model_config = SettingsConfigDict(env_prefix="TOLLHOUSE_TREASURY_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8710, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    gateways_file: Path = Field(
        description="The JSON file of gateways: the SHA-256 of a token to name, kid, public_jwk and tenants."
    )
    operators_file: Path | None = Field(
        None, description="The JSON file of operators: the SHA-256 of a token to id, role and tenant."
    )

    # requests
    body_bytes_max: int = Field(65_536, ge=1_024, description="Size of a request's body.")
    json_depth_max: int = Field(16, ge=4, description="Nesting of a request's body.")
    requests_max: int = Field(512, ge=1, description="Requests under way at once; more are answered 503.")
    connections_max: int = Field(
        1_024,
        ge=1,
        description="Connections; those without a request give way to new ones.",
    )
    head_bytes_max: int = Field(32_768, ge=256, description="Size of a request's head.")
    head_timeout_s: float = Field(5.0, gt=0, description="Until a request's head must have come.")
    body_timeout_s: float = Field(5.0, gt=0, description="Until a request's body must have come.")
    write_stall_s: float = Field(
        10.0, gt=0, description="The longest that a caller may take nothing of an answer that waits for it."
    )
    answer_s_max: float = Field(60.0, gt=0, description="Until a caller must have taken all of an answer.")
    page_items_max: int = Field(200, ge=1, le=1_000, description="The longest list that is answered at once.")
    in_flight_wait_ms: int = Field(
        200, ge=1, description="How long a repeated request waits for the first one before it is refused."
    )
    keep_alive_s: int = Field(65, ge=1, description="How long an idle connection is kept.")
    drain_timeout_s: int = Field(10, ge=1, description="How long requests may take after SIGTERM.")
    retry_after_s: int = Field(1, ge=1, description="What a 503 tells its caller to wait.")

    # money that is held
    hold_ttl_s: int = Field(900, ge=1, description="How long an approved spend may wait for its execution.")
    approval_ttl_s: int = Field(86_400, ge=1, description="How long a spend may wait for a person.")
    sweep_interval_ms: int = Field(1_000, ge=10, description="How often holds are looked through for expiry.")
    sweep_batch_max: int = Field(200, ge=1, description="Holds ended in one round.")

    # reconciliation
    statement_bytes_max: int = Field(8_388_608, ge=1_024, description="Size of a provider's statement.")
    statement_lines_max: int = Field(20_000, ge=1, description="Lines of a provider's statement.")

    # batches
    batch_commands_max: int = Field(128, ge=1, le=1_000, description="Commands in one database commit.")
    batch_queue_max: int = Field(
        2_048, ge=1, description="Commands that may wait for a commit; more are answered 503."
    )
    batch_lanes_max: int = Field(1, ge=1, le=4, description="Commits under way at once.")
    lock_wait_ms: int = Field(
        1_000, ge=1, description="How long a commit waits for rows that another one has locked."
    )

    # top-ups
    webhooks_file: Path | None = Field(
        None, description="The JSON file of payment providers: their name to secrets and tenants."
    )
    webhook_bytes_max: int = Field(262_144, ge=1_024, description="Size of a provider's webhook.")
    webhook_tolerance_s: int = Field(
        300, ge=1, le=3_600, description="How far a webhook's time may be from ours."
    )
    balance_low_percent: int = Field(
        10, ge=0, le=100, description="Part of a budget's balance after a top-up below which it is low."
    )
    alert_interval_ms: int = Field(500, ge=10, description="How often budgets are asked for alerts to tell.")
    alert_batch_max: int = Field(100, ge=1, description="Alerts told in one round.")
    alert_workflows_max: int = Field(
        1_000, ge=1, le=1_000, description="Workflows that are named when a budget is depleted."
    )

    # PostgreSQL
    postgres_dsn_file: Path = Field(description="The file of the connection string of tollhouse_treasury.")
    postgres_pool_size: int = Field(
        7, ge=1, le=8, description="Sessions with PostgreSQL, beside one for each commit under way."
    )
    postgres_connect_timeout_s: float = Field(3.0, gt=0, description="Until PostgreSQL must have let us in.")
    postgres_statement_timeout_ms: int = Field(5_000, ge=1, description="The longest statement.")

    # looking in
    log_level: LogLevel = Field("info", description="The least that is logged.")


class RelaySettings(BaseSettings):
    """The relay's settings; docs/reference/settings.md is made from the descriptions."""

    model_config = SettingsConfigDict(env_prefix="TOLLHOUSE_RELAY_", frozen=True, extra="forbid")

    postgres_dsn_file: Path = Field(description="The file of the connection string of tollhouse_relay.")
    postgres_connect_timeout_s: float = Field(3.0, gt=0, description="Until PostgreSQL must have let us in.")
    postgres_statement_timeout_ms: int = Field(5_000, ge=1, description="The longest statement.")
    nats_url: str = Field(description="Where the event bus is.")
    nats_user: str = Field("relay", description="The user that NATS knows the relay by.")
    nats_password_file: Path = Field(description="The file of that user's password.")
    nats_connect_timeout_s: float = Field(5.0, gt=0, description="Until the bus must have let us in.")
    nats_ack_timeout_s: float = Field(5.0, gt=0, description="Until the bus must have kept an event.")
    poll_interval_ms: int = Field(100, ge=10, le=1_000, description="How often the outbox is looked at.")
    retry_ms: int = Field(
        500, ge=10, description="The pause before what could not be reached is tried again."
    )
    batch_max: int = Field(200, ge=1, le=1_000, description="Events published at once.")
    republish_timeout_s: int = Field(
        300, ge=1, description="How long it may take to mark what a stream that lost its storage lacks."
    )
    log_level: LogLevel = Field("info", description="The least that is logged.")
