"""The number of processors: what the system allows, and what a container's quota comes to."""

from __future__ import annotations

import os

import pytest

from fastautorec import _compute

FIRST = {"cpu/x/cpu.cfs_quota_us": "400000", "cpu/x/cpu.cfs_period_us": "100000"}  # version of control groups


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "20000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "100000 50000\n"}, 2),
        ("0::/../gone\n", {}, None),
        ("5:cpu,cpuacct:/x\n1:name=systemd:/\n", FIRST, 4),
        ("5:cpu,cpuacct:/x\n", {**FIRST, "cpu/x/cpu.cfs_quota_us": "-1"}, None),
        ("5:memory:/x\n", FIRST, None),
        ("0::/\n", {"cpu.max": "what\n"}, None),
    ],
)  # fmt: skip
def test_quota(tmp_path, groups, files, quota):
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert _compute._quota(tmp_path / "root", tmp_path / "groups") == quota


def test_no_groups(tmp_path):
    assert _compute._quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(("quota", "expected"), [(None, 6), (3, 3), (8, 6)])
def test_threads_follow_the_quota(monkeypatch, quota, expected):
    monkeypatch.delenv(_compute.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(_compute, "_quota", lambda *_: quota)
    assert _compute.resolve_num_threads(None) == expected
    assert _compute.resolve_num_threads(9) == 9
