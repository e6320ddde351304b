"""The code of docs/serving.md runs as it stands, and its servers give the lists of the model."""

from __future__ import annotations

import http.client
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "serving.md"
HISTORIES = [["git", "vim"], ["python3"], ["git", "no such package"], []]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a folder with the model of the page, whose names a server finds there, and its blocks of code."""
    if not PAGE.exists():
        pytest.skip("the documentation is not beside the tests")
    folder = tmp_path_factory.mktemp("served")
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    assert len(blocks) == 6
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        names: dict[str, Any] = {}
        for block in blocks[:4]:
            exec(compile(block, str(PAGE), "exec"), names)
    assert names["found"].unknown == ["a typing error"]
    assert not names["found"].cold
    ranker = names["far"].load(folder / "model").ranker(N=10)
    return folder, blocks, [ranker.recommend_names(history)._asdict() for history in HISTORIES]


def test_fastapi(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, blocks, expected = served
    code = compile(blocks[4], str(PAGE), "exec")
    testclient = pytest.importorskip("fastapi.testclient", reason="FastAPI with httpx is not installed")
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {"__name__": "served_app"}
    exec(code, names)
    with testclient.TestClient(names["app"]) as client:
        for history, answer in zip(HISTORIES, expected, strict=True):
            response = client.post("/recommend", json={"items": history})
            assert (response.status_code, response.json()) == (200, answer)
        assert client.post("/recommend", json={"items": [7]}).status_code == 422
        assert client.post("/reload").status_code == 200
        assert client.post("/recommend", json={"items": ["git"]}).status_code == 200


def test_standard_library(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, blocks, expected = served
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(blocks[5], str(PAGE), "exec"), names)
    server = names["server"]
    names["Handler"].log_message = lambda *_: None
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def ask(body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(*server.server_address, timeout=30)
        try:
            connection.request("POST", "/", json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda history: ask({"items": history}), HISTORIES * 10))
        assert answers == [(200, answer) for answer in expected] * 10
        status, answer = ask({"items": [7]})
        assert status == 400
        assert "7" in answer["error"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(30)
    assert not thread.is_alive()
