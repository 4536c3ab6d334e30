"""Settings of control, read once from the environment (`TOLLHOUSE_CONTROL_…`) and then frozen."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Control's settings; docs/reference/settings.md is made from the descriptions."""

    model_config = SettingsConfigDict(env_prefix="TOLLHOUSE_CONTROL_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8720, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    operators_file: Path = Field(
        description="The JSON file of operators: the SHA-256 of a key to its id, role and tenant."
    )
    requests_max: int = Field(256, ge=1, description="Requests under way at once; more are answered 503.")
    connections_max: int = Field(
        512, ge=1, description="Connections; those without a request give way to new ones."
    )
    body_bytes_max: int = Field(65_536, ge=1_024, description="Size of a request's body.")
    head_bytes_max: int = Field(32_768, ge=256, description="Size of a request's head.")
    head_timeout_s: float = Field(5.0, gt=0, description="Until a request's head must have come.")
    body_timeout_s: float = Field(5.0, gt=0, description="Until a request's body must have come.")
    write_stall_s: float = Field(
        10.0, gt=0, description="The longest that a caller may take nothing of an answer that waits for it."
    )
    answer_s_max: float = Field(60.0, gt=0, description="Until a caller must have taken all of an answer.")
    keep_alive_s: int = Field(65, ge=1, description="How long an idle connection is kept.")
    drain_timeout_s: int = Field(10, ge=1, description="How long requests may take after SIGTERM.")
    page_items_max: int = Field(500, ge=1, description="The longest list that is answered at once.")
    json_depth_max: int = Field(16, ge=4, description="Nesting of a request's body.")

    # PostgreSQL
    postgres_dsn_file: Path = Field(description="The file of the connection string of tollhouse_control.")
    postgres_pool_size: int = Field(4, ge=1, le=8, description="Sessions with PostgreSQL.")
    postgres_connect_timeout_s: float = Field(3.0, gt=0, description="Until PostgreSQL must have let us in.")
    postgres_statement_timeout_ms: int = Field(5_000, ge=1, description="The longest statement.")
    retry_after_s: int = Field(2, ge=1, description="What a 503 tells its caller to wait.")

    # the event bus
    nats_url: str = Field(description="Where the event bus is.")
    nats_user: str = Field("control", description="The user that NATS knows control by.")
    nats_password_file: Path = Field(description="The file of that user's password.")
    nats_connect_timeout_s: float = Field(5.0, gt=0, description="Until the bus must have let us in.")
    nats_ack_timeout_s: float = Field(5.0, gt=0, description="Until the bus must have answered.")
    events_bytes_max: int = Field(
        512 * 1024**2, ge=1_048_576, description="Size of the stream of events; the oldest go first."
    )
    dead_letters_bytes_max: int = Field(
        64 * 1024**2, ge=1_048_576, description="Size of the stream of dead letters."
    )
    events_age_s_max: int = Field(30 * 86_400, ge=60, description="How long the streams keep a message.")
    record_batch_max: int = Field(256, ge=1, le=4096, description="Events taken from the stream at once.")
    record_wait_ms: int = Field(1_000, ge=10, description="How long a reader waits for the next event.")
    record_retry_ms: int = Field(
        500, ge=10, description="The pause before a reader tries again what it could not reach or handle."
    )
    record_attempts_max: int = Field(
        5, ge=1, le=100, description="How often an event is tried before it goes to the dead letters."
    )
    outbox_interval_ms: int = Field(
        200, ge=10, description="How often control looks for what it has to tell itself."
    )
    outbox_batch_max: int = Field(100, ge=1, le=1_000, description="Events that control publishes at once.")

    # the treasury, for what operators do there
    treasury_url: str | None = Field(
        None, description="Where the treasury is; without it workflows cannot be managed here."
    )
    treasury_timeout_s: float = Field(5.0, gt=0, description="Until the treasury must have answered.")
    treasury_connections_max: int = Field(8, ge=1, description="Connections to the treasury.")

    # cases
    opa_url: str | None = Field(None, description="Where OPA is; without it no case is opened.")
    opa_token_file: Path | None = Field(None, description="The file of the token that OPA knows control by.")
    opa_timeout_s: float = Field(2.0, gt=0, description="Until OPA must have judged a batch of events.")
    opa_answer_bytes_max: int = Field(8 * 1024**2, ge=1_024, description="Size of OPA's answer.")
    case_refusals_max: int = Field(
        20, ge=1, description="Refusals of one agent within the window that open a case."
    )
    case_refusals_window_s: int = Field(60, ge=1, le=86_400, description="The window of those refusals.")
    case_refusals_counted_max: int = Field(
        1_000, ge=1, description="Refusals of one agent that are looked at within the window."
    )
    case_unknown_age_s_max: int = Field(
        900, ge=1, description="How long a hold may be unknown before a case is opened."
    )
    case_watch_interval_ms: int = Field(1_000, ge=10, description="How often such holds are looked for.")
    case_evidence_max: int = Field(1_000, ge=1, description="Events that a case keeps as evidence.")

    # looking in
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
