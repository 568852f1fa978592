"""Take the pictures of docs/dashboards.md: `make screenshots`.

The demo company runs through the command in a home of its own, then Chromium opens each dashboard.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from commands.dashboards import prepare_dashboards
from docs.visitor import Visitor, find_browser, open_browser
from myproperty import engines
from myproperty.engines.environment import find_superset
from myproperty.engines.superset.assets import FOLDER
from myproperty.engines.superset.server import ADMIN
from myproperty.settings import Settings

PICTURES = Path(__file__).parent / "images"


def take_pictures(settings: Settings) -> None:
    """Open the dashboards of a home and write their pictures."""
    superset = find_superset(settings)
    try:
        prepare_dashboards(settings, superset)
        with superset.running(), open_browser() as browser:
            visitor = Visitor(browser, superset.url, ADMIN, superset.read_passwords()[ADMIN])
            for slug in sorted(path.stem for path in (FOLDER / "dashboards").glob("*.yaml")):
                seen = visitor.open(slug, PICTURES / f"dashboard-{slug}.png")
                sys.stdout.write(f"wrote docs/images/dashboard-{slug}.png, {seen.charts} charts\n")
    finally:
        engines.down(settings)


def main() -> None:
    """Run the demo in a temporary home and take all pictures; exit with 1 if no browser is installed."""
    if find_browser() is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="pictures-") as home:
        Path(home).chmod(0o711)  # the account of the embedded PostgreSQL passes through
        environment = {**os.environ, "MYPROPERTY_HOME": home}
        subprocess.run([sys.executable, "-m", "commands.main", "demo"], env=environment, check=True)
        take_pictures(Settings(home=Path(home)))


if __name__ == "__main__":
    main()
