import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any


class _NullForNan:
    """Marks a float whose nan is null in JSON; the JSON schemas are told so."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict]) -> dict:
        return dict(anyOf=[handler(schema), dict(type='null')])


#: A float that may be nan; null in JSON.
FloatOrNan = Annotated[float, _NullForNan()]


@dataclass(frozen=True)
class Estimate:
    """A figure with its confidence interval."""

    value: FloatOrNan  #: nan where the set does not define the figure
    low: FloatOrNan  #: nan where no interval is given
    high: FloatOrNan
    sd_of_runs: float | None = None  #: standard deviation between training runs, of several

    @property
    def has_interval(self) -> bool:
        """Whether an interval is given."""
        return not math.isnan(self.low)

    def __format__(self, spec: str) -> str:
        """The figure, and its interval if there is one, with all numbers in this format."""
        bounds = f' ({self.low:{spec}} to {self.high:{spec}})' if self.has_interval else ''
        return f'{self.value:{spec}}{bounds}'

    def excludes(self, null: float = 0) -> bool:
        """Whether the interval lies on one side of what no effect would give."""
        return self.low > null or self.high < null
