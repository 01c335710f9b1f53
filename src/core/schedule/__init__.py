"""5. The one scheduler: who is ready, what becomes of each, tries again, waits for others, ends in order."""

from core.schedule.owner import Conditions, Ending, Past, drive

__all__ = ["Conditions", "Ending", "Past", "drive"]
