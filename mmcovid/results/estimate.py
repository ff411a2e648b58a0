import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval."""

    value: float | None  #: nan where the set does not define the figure
    low: float | None  #: nan where no interval is given
    high: float | None
    sd_of_runs: float | None = None  #: standard deviation between training runs, of several

    @property
    def has_interval(self) -> bool:
        """Whether an interval is given."""
        return not math.isnan(self.low)

    def excludes(self, null: float = 0) -> bool:
        """Whether the interval lies on one side of what no effect would give."""
        return self.low > null or self.high < null
