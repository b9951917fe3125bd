"""The report's page as a browser sees it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--hide-scrollbars",
)
PROBE = """
<script>
const first = document.querySelector(".dot .mark");
first.dispatchEvent(new Event("pointerenter"));
const root = document.documentElement;
root.dataset.overflow = root.scrollWidth - root.clientWidth;
root.dataset.lit = Array.from(document.querySelectorAll("tr.lit"), row => row.closest("section").id).join(" ");
root.dataset.strange = document.querySelectorAll(`.lit:not([data-key="${CSS.escape(first.dataset.key)}"])`).length;
root.dataset.tip = document.getElementById("tip").hidden ? "" : document.getElementById("tip").textContent;
first.dispatchEvent(new Event("pointerleave"));
root.dataset.left = document.querySelectorAll(".lit").length;
</script>
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium here (Debian: apt-get install chromium)"),
]


def open_page(page: Path, profile: Path, *arguments: str, width: int = 1280) -> tuple[str, list[str]]:
    """The document as the browser holds it, and what it logged to the console."""
    command = [
        str(BROWSER),
        *QUIET,
        f"--user-data-dir={profile}",
        f"--window-size={width},900",
        *arguments,
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_opens_without_errors_and_answers_to_the_pointer(full_page: Path, tmp_path: Path, width: int) -> None:
    probed = tmp_path / "probed.html"
    probed.write_text(full_page.read_text().replace("</body>", PROBE + "</body>"))
    document, console = open_page(probed, tmp_path / "profile", "--dump-dom", width=width)
    assert console == []
    seen = dict(re.findall(r'data-(overflow|lit|strange|tip|left)="([^"]*)"', document[:2000]))
    assert seen["overflow"] == "0", "the page is wider than the window"
    # The network's row in each table, and nothing of another network.
    assert sorted(seen["lit"].split()) == ["members", "rounds", "shared"]
    assert seen["strange"] == "0"
    assert "ms measured" in seen["tip"]
    assert seen["left"] == "0"
    # A front for each target and one for the fleet, two predictors, accuracy and loss while training.
    assert document.count("<figure") == 7


def test_an_error_or_a_fetch_would_be_seen(full_page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    extra = '<img src="https://example.org/x.png"><script>noSuchThing()</script>'
    broken.write_text(full_page.read_text().replace("</body>", extra + "</body>"))
    _, console = open_page(broken, tmp_path / "profile", "--dump-dom")
    assert any("Content Security Policy" in line for line in console)
    assert any("noSuchThing" in line for line in console)


def test_a_picture_of_the_page_is_not_blank(full_page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    open_page(full_page, tmp_path / "profile", f"--screenshot={picture}")
    image = Image.open(picture).convert("RGB")
    assert image.width == 1280
    colours = image.getcolors(maxcolors=1 << 20)
    assert colours is not None
    assert len(colours) > 50
