"""`--report` writes one page: everything escaped, nothing loaded, filtered and sorted by a real browser."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from toolkit.cli import run

HOSTILE = '<img src=x onerror=alert(1)> & "quoted" \u202e'
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


def fill(name: str, *statements: str) -> str:
    with closing(sqlite3.connect(name)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return f"sqlite:///{name}"


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two databases whose rows differ in each way, one with a hostile value and name."""
    monkeypatch.chdir(tmp_path)
    tables = (
        "CREATE TABLE item (id INTEGER PRIMARY KEY, title TEXT, email TEXT)",
        'CREATE TABLE "<b>" (id INTEGER PRIMARY KEY)',
    )
    source = fill("a.db", *tables, 'INSERT INTO "<b>" VALUES (7)')
    with closing(sqlite3.connect("a.db")) as connection, connection:
        values = [(1, "same", "a@x"), (2, HOSTILE, "new@x"), (3, "third", None), (10, "tenth", None)]
        connection.executemany("INSERT INTO item VALUES (?, ?, ?)", values)
    target = fill("b.db", *tables, "INSERT INTO item VALUES (1, 'same', 'a@x'), (2, 'old', 'old@x'), (4, 'gone', NULL)")
    return ["--from", source, "--to", target]


def test_the_page_has_what_differs_escaped_and_masked_and_loads_nothing(
    pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["diff", *pair, "--report", "report.html"]) == 3
    assert "tenth" not in capsys.readouterr().out
    page = Path("report.html").read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    assert "\u202e" not in page
    assert "<b>" not in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']|@import|url\(|https?:""", page)
    assert "new@x" not in page
    assert page.count('<td class="added">') == 3
    assert "<del>&quot;old&quot;</del>" in page


def test_a_dry_run_writes_its_plan_and_goes_only_with_one(pair: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sync", *pair, "--report", "report.html"]) == 2
    assert run(["sync", *pair, "--delete", "--dry-run", "--report", "report.html"]) == 0
    page = Path("report.html").read_text()
    assert "dry run: nothing was written" in page
    assert '<td class="removed">' in page
    assert run(["sync", *pair[:2], "--to", "sqlite:///new.db", "--dry-run", "--report", "new.html"]) == 0
    assert "would be created first" in Path("new.html").read_text()
    assert run(["diff", *pair, "--report", "nowhere/report.html"]) == 2
    assert "Name another file" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"), reason="there is no chromium (apt-get install chromium)"
)
def test_a_browser_filters_sorts_and_fits_a_phone(pair: list[str], tmp_path: Path) -> None:
    run(["diff", *pair, "--report", "report.html"])
    # What a reader would do, and what is to be seen then.
    script = """<script>{
    const all = (selector) => [...document.querySelectorAll("details[data-table=item] " + selector)];
    const click = (text) => all("th button").find((b) => b.textContent === text).click();
    const keys = () => all("tbody tr").filter((row) => !row.hidden).map((row) => row.cells[1].textContent);
    const found = [];
    click("key"); found.push(keys().join()); click("key"); found.push(keys().join());
    const filter = document.querySelector("#filter");
    filter.value = "THIRD"; filter.dispatchEvent(new Event("input")); found.push(keys().join());
    found.push([...document.querySelectorAll("details")].filter((d) => !d.hidden).length);
    found.push(document.documentElement.scrollWidth <= innerWidth);
    document.body.dataset.found = found.join("|");
    }</script>"""
    tried = tmp_path / "tried.html"
    tried.write_text(Path("report.html").read_text().replace("</body>", script + "</body>"))
    assert BROWSER is not None
    browser = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=390,800", "--dump-dom"]
    browser += [f"--user-data-dir={tmp_path / 'profile'}", tried.as_uri()]
    shown = subprocess.run(browser, capture_output=True, text=True, check=True, timeout=60).stdout
    (found,) = re.findall(r'data-found="([^"]*)"', shown)
    assert found == "id=2,id=3,id=4,id=10|id=10,id=4,id=3,id=2|id=3|1|true"
