"""MetricFlow's program without its question to the package index, which it asks at every call.

Started as `python -m data.warehouse.ask_metrics`, with the words of `mf`, in the folder of the dbt project.
Python looks there first, so no file of that folder may have the name of a package.
"""

from dbt_metricflow.cli import main


class NoUpdates:
    """Stands for the checker of newer versions, and finds none."""

    def check(self, *_: str) -> None:
        """Ask nobody."""


def run() -> None:
    """Run the program with the arguments of this process."""
    main.__dict__["UpdateChecker"] = NoUpdates
    main.cli()


if __name__ == "__main__":
    run()
