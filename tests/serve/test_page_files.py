"""The files of the page: how they are served, that they are few, and that they need nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from parlando.serve import doors

WEBUI = Path(doors.__file__).parents[1] / "webui"


def test_files_come_with_a_strict_policy_and_a_tag(stub):
    answer = stub.http.get("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = stub.http.get("/", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert stub.http.head("/").headers["content-length"] == str(len(answer.content))
    assert stub.http.get("/webui/app.js").headers["content-type"] == "text/javascript; charset=utf-8"
    for name in ("none.js", "..%2fapp.py", "%2e%2e/app.py", "app.py", "../app.py", ""):
        assert stub.http.get(f"/webui/{name}").status_code == 404, name
    assert stub.http.post("/").status_code == 405
    assert not [
        path for path in stub.http.get("/openapi.json").json()["paths"] if "webui" in path or path in ("/", "/chat")
    ]


def test_the_page_is_small_and_needs_nothing_from_elsewhere():
    files = sorted(WEBUI.iterdir())
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    assert {"index.html", "app.js", "base.css", "page.css", "icon.svg"} < set(texts)
    of_chat = {name for name in texts if name.startswith("chat.") or name == "microphone.js"}
    assert sum(len(text) for name, text in texts.items() if name not in of_chat) < 140_000
    assert sum(len(texts[name]) for name in of_chat) < 12_000
    for name, text in texts.items():
        assert text.count("\n") <= 300, name
        addresses = [found for found in re.findall(r"(?:https?:)?//[\w.-]+\.\w+", text) if "www.w3.org" not in found]
        assert addresses == [], name
        assert not re.search(r"innerHTML|insertAdjacentHTML|\beval\(|new Function|\bon\w+=\"| style=\"", text), name
    imports = {found for name, text in texts.items() for found in re.findall(r'from "\./([\w.]+)"', text)}
    linked = {found for text in texts.values() for found in re.findall(r"\"webui/([\w.]+)\"", text)} - {"models.json"}
    assert imports | linked | {"index.html", "chat.html"} == set(texts), "no file is missing, none is left over"


def test_the_page_to_talk_on_comes_under_the_same_policy(stub):
    first, talk = stub.http.get("/"), stub.http.get("/chat")
    assert "<title>Parlando: talk</title>" in talk.text
    assert talk.headers["content-security-policy"] == first.headers["content-security-policy"]
    assert "microphone=(self)" in talk.headers["permissions-policy"]
