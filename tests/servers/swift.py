"""A single-node OpenStack Swift with its S3 interface: a real object store that checks signatures (SigV4)."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import obstore
from obstore.store import S3Store

from tests.servers.common import free_ports, installed_once, one_for_all, wait_for

REQUIREMENTS = ("swift==2.38.3", "setuptools<81")
USER, SECRET = "test:tester", "testsecret"
_SERVICES = ("object", "container", "account", "proxy")
_FILTERS = (
    "catch_errors",
    "gatekeeper",
    "cache",
    "listing_formats",
    "bulk",
    "s3api",
    "tempauth",
    "slo",
    "dlo",
    "copy",
    "symlink",
)
_OPTIONS = {
    "tempauth": "user_test_tester = testsecret .admin",
    "s3api": "location = us-east-1\nallow_multipart_uploads = true\ncheck_bucket_owner = false\ns3_acl = false\n"
    "dns_compliant_bucket_names = true\nallow_no_owner = true\n"
    # S3 itself wants 5 MiB: tests want small parts.
    "min_segment_size = 1\nforce_swift_request_proxy_log = false",
}
# What deployments have memcached for: without it the proxy asks for the account and the bucket at each request.
_CACHE = """
import json
from time import time as now

class Cache:
    def __init__(self):
        self.kept = {}

    def get(self, key, **_):
        text, until = self.kept.get(key, ("null", None))
        return None if until is not None and until < now() else json.loads(text)

    def set(self, key, value, time=0, **_):
        self.kept[key] = json.dumps(value), now() + time if time else None

    def delete(self, key, **_):
        self.kept.pop(key, None)

    def incr(self, key, delta=1, time=0, **_):
        value = max(0, (self.get(key) or 0) + delta)
        self.set(key, value, time)
        return value

def factory(_, **__):
    cache = Cache()
    return lambda app: lambda environ, start: (environ.update({"swift.cache": cache}), app(environ, start))[1]
"""
_RINGS = """
import sys
from swift.common.ring import RingBuilder
for name, port in (argument.split(":") for argument in sys.argv[2:]):
    ring = RingBuilder(2, 1, 0)
    ring.add_dev(dict(region=1, zone=1, ip="127.0.0.1", port=int(port), device="d1", weight=1,
                      replication_ip="127.0.0.1", replication_port=int(port)))
    ring.rebalance()
    ring.get_ring().save(f"{sys.argv[1]}/{name}.ring.gz")
"""
_RUN = """
import runpy, sys
import swift.common.utils
swift.common.utils.SWIFT_CONF_FILE = sys.argv[1]
script, configuration = sys.argv[2:]
sys.argv = [script, configuration]
runpy.run_path(script, run_name="__main__")
"""


@dataclass(frozen=True)
class S3Server:
    """Where the server is, and how one gets in."""

    endpoint: str

    @property
    def environment(self) -> Mapping[str, str]:
        """The usual environment variables."""
        return {
            "AWS_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    @property
    def options(self) -> Mapping[str, str | bool]:
        """The same as settings of a store."""
        return {
            "endpoint": self.endpoint,
            "access_key_id": USER,
            "secret_access_key": SECRET,
            "region": "us-east-1",
            "allow_http": True,
        }

    def create_bucket(self, name: str) -> None:
        """Make a bucket unless it is there, by a request that the store's client signs: it has none of its own."""
        store = S3Store(
            name,
            endpoint=self.endpoint,
            access_key_id=USER,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )
        request = Request(obstore.sign(store, "PUT", "/", timedelta(minutes=1)), method="PUT")
        try:
            with urlopen(request) as answer:
                assert answer.status == 200
        except HTTPError as error:
            # Another process of the run was first.
            if b"BucketAlreadyOwnedByYou" not in error.read():
                raise


def installed() -> Path:
    """The environment of the server, made once for this user."""
    return installed_once(f"swift-{sys.version_info[0]}.{sys.version_info[1]}", _install)


def _install(folder: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)
    subprocess.run([folder / "bin" / "pip", "install", "--quiet", *REQUIREMENTS], check=True)


@contextmanager
def running(root: Path) -> Iterator[S3Server]:
    """A server for the block, with all that it stores under `root`."""
    python = installed() / "bin" / "python"
    ports = dict(zip(_SERVICES, free_ports(len(_SERVICES)), strict=True))
    _configure(root, ports)
    rings = [f"{name}:{port}" for name, port in ports.items() if name != "proxy"]
    subprocess.run([python, "-W", "ignore", "-c", _RINGS, root / "etc", *rings], check=True)
    arguments: list[str | Path] = [python, "-W", "ignore", "-c", _RUN, root / "etc" / "swift.conf"]
    with (root / "log").open("wb") as log:
        processes = [
            subprocess.Popen(
                [*arguments, python.parent / f"swift-{name}-server", root / "etc" / f"{name}-server.conf"],
                stdout=log,
                stderr=log,
                cwd=root,
                env={**os.environ, "SWIFT_DIR": str(root / "etc")},
            )
            for name in _SERVICES
        ]
    try:
        for port in ports.values():
            wait_for(port, root / "log")
        yield S3Server(f"http://127.0.0.1:{ports['proxy']}")
    finally:
        for process in processes:
            process.send_signal(signal.SIGKILL)
        for process in processes:
            process.wait()


@contextmanager
def shared(folder: Path) -> Iterator[S3Server]:
    """One server for all processes that name this folder."""
    with one_for_all(folder, _endpoint) as endpoint:
        yield S3Server(endpoint)


@contextmanager
def _endpoint(root: Path) -> Iterator[str]:
    with running(root) as server:
        yield server.endpoint


def _configure(root: Path, ports: Mapping[str, int]) -> None:
    etc, devices = root / "etc", root / "srv"
    for folder in (etc, devices / "d1", root / "recon"):
        folder.mkdir(parents=True)
    (etc / "swift.conf").write_text(
        f"[swift-hash]\nswift_hash_path_suffix = {secrets.token_hex(8)}\n"
        f"swift_hash_path_prefix = {secrets.token_hex(8)}\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n[swift-constraints]\nmax_header_size = 16384\n"
    )
    common = f"[DEFAULT]\nbind_ip = 127.0.0.1\nswift_dir = {etc}\nuser = {_user()}\nworkers = 0\nlog_level = ERROR\n"
    for name in ("object", "container", "account"):
        (etc / f"{name}-server.conf").write_text(
            f"{common}bind_port = {ports[name]}\ndevices = {devices}\nmount_check = false\nlog_address = /nonexistent\n"
            f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"
            f"[filter:recon]\nuse = egg:swift#recon\nrecon_cache_path = {root}/recon\n"
        )
    (root / "remembered.py").write_text(_CACHE)
    used = {"cache": "paste.filter_factory = remembered:factory"}
    filters = "".join(
        f"[filter:{name}]\n{used.get(name, f'use = egg:swift#{name}')}\n{_OPTIONS.get(name, '')}\n" for name in _FILTERS
    )
    (etc / "proxy-server.conf").write_text(
        f"{common}bind_port = {ports['proxy']}\n[pipeline:main]\npipeline = {' '.join(_FILTERS)} proxy-server\n"
        f"[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n{filters}"
    )


def _user() -> str:
    import getpass

    return getpass.getuser()
