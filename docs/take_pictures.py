"""Take the pictures of docs/images anew: `python -m docs.take_pictures` in the root of the project.

Trains the demo, the convolutional example and three runs to compare in a temporary folder, and photographs
their pages. Needs the extras "demo", "report" and "test", and Chromium.
"""

import contextlib
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.support.browser import browser_page
from trainsignal.report.pages.static import write_report
from trainsignal.report.reading import read_run

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
COLOURS = 256
"""Of a picture: charts have few, and the files become a third."""


def train() -> None:
    """Leave the archives in the current folder."""
    example = ROOT / "examples" / "digits_mlp.py"
    train_demo = [sys.executable, str(example), "--no_progress_bar"]
    subprocess.run([*train_demo, "-e", "12"], check=True, stdout=subprocess.DEVNULL)
    for number, batch_size in enumerate((16, 64, 256)):
        options = ["--rng_seed", str(number), "-z", str(batch_size), "-o", f"batches_of_{batch_size}.h5"]
        subprocess.run([*train_demo, *options], check=True, stdout=subprocess.DEVNULL)
    with contextlib.redirect_stdout(None):
        runpy.run_path(str(ROOT / "examples" / "convnet.py"))


def photograph(
    name: str, *archives: str, dark: bool = False, width: int = 1200, height: int | None = None
) -> None:
    """Write docs/images/<name>.png.

    Args:
        name: of the picture.
        archives: whose report it shows.
        dark: as a browser shows it that prefers dark pages.
        width: of the window, in pixels.
        height: of the part that is kept, from the top; None: all.
    """
    page = write_report([read_run(archive) for archive in archives], Path(name), "epoch")
    with browser_page(color_scheme="dark" if dark else "light", width=width) as tab:
        tab.open(page.absolute().as_uri())
        whole = tab.page.evaluate("document.documentElement.scrollHeight")
        tab.page.set_viewport_size({"width": width, "height": min(whole, height or whole)})
        tab.page.wait_for_function("Bokeh.documents[0].is_idle")
        tab.page.screenshot(path=f"{name}.png", animations="disabled")
    with Image.open(f"{name}.png") as picture:
        picture.convert("RGB").quantize(COLOURS).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        train()
        photograph("report-demo", "demo-run/digits.h5")
        photograph("report-convnet", "convnet.h5")
        photograph("report-comparison", *(f"batches_of_{size}.h5" for size in (16, 64, 256)))
        photograph("report-dark", "convnet.h5", dark=True, height=1500)
        photograph("report-narrow", "demo-run/digits.h5", width=420, height=1500)
