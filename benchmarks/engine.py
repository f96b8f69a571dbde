"""Time the networks of the first page in headless Chromium, and write book/records/engine.csv.

    python benchmarks/engine.py

Milliseconds in the worker, of calls one after another, the first ten left out: the least, which is
the work itself where other work is at the cores, and the median.  Where something else is running
before or after, no record is written.  Needs `pip install -e '.[browser]'` and Chromium.
"""

import argparse
import csv
import shutil
import statistics
import sys
from datetime import UTC, datetime
from pathlib import Path

import race

from cgnbook import painter
from cgnlib import paths, processor
from cgnlib.runs import provenance

sys.path.insert(0, str(paths.ROOT / "book/_press"))
import networks

CALLS, FIRST = 60, 10
ENGINE = paths.ROOT / "book/_interactive/engine/engine.js"
COLUMNS = ("what", "metric", "value", "unit", "n", "device", "browser", "commit", "finished")
TIMED = """async ([calls, n]) => {
    const engine = Engine.start(WEIGHTS), taken = [];
    for (let i = 0; i < n; i++) {
        let ms = 0;
        for (const call of calls) ms += (await engine.ask(...call)).ms;
        taken.push(ms);
    }
    return taken;
}"""


def calls() -> dict[str, list[list]]:
    """What is timed together, by its name in the record."""
    image, latent = (
        [i % 255 / 127.5 - 1 for i in range(3 * 32 * 32)],
        [i / 16 - 1 for i in range(32)],
    )
    parts = [["part", painter.MAKER, m, 3, latent] for m in ("shape", "texture", "background")]
    return {
        "both classifiers": [["classify", name, image] for name in painter.ASKED],
        "three mechanisms of a CGN": parts,
    }


def measured() -> list[tuple]:
    """(what, metric, value, unit, n, device, browser) of each.  Exits without a browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("error: playwright is not installed: pip install -e '.[browser]'")
    if shutil.which("chromium") is None:
        sys.exit("error: there is no chromium on this machine: install it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        for script in (*map(networks.script, networks.NAMES), ENGINE.read_text("utf-8")):
            page.add_script_tag(content=script)
        machine = (CALLS - FIRST, processor.device(), f"Chromium {browser.version}")
        rows = []
        for what, together in calls().items():
            taken = page.evaluate(TIMED, [together, CALLS])[FIRST:]
            for metric, of in (("least", min), ("median", statistics.median)):
                rows.append((what, metric, f"{of(taken):.4g}", "ms", *machine))
        browser.close()
    return rows


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    path: Path = paths.records() / "engine.csv"
    quiet = race.quiet()
    rows = [(*row, provenance.commit(), finished) for row in measured()]
    for what, metric, value, *_ in rows:
        print(f"{what}, {metric}: {value} ms")
    if race.quiet() and quiet:
        with path.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
