"""What a person sees instead of a traceback: place, cause, remedy, and an exit code."""


class Gen3dError(Exception):
    """A failure with a message for the person who ran the command.

    Args:
        cause: what is wrong.
        place: where: a file and line, a recipe key, a picture.
        remedy: what would be right.
    """

    exit_code = 2

    def __init__(self, cause: str, *, place: str = "", remedy: str = "") -> None:
        self.cause, self.place, self.remedy = cause, place, remedy
        super().__init__(": ".join(part for part in (place, cause) if part) + (f"\n  {remedy}" if remedy else ""))


class BadInput(Gen3dError):
    """A recipe, picture, option or weight file that cannot be used as it is."""


class Unavailable(Gen3dError):
    """A backend, weights or the network are missing."""

    exit_code = 3


class OutOfMemory(Gen3dError):
    """The device's memory does not suffice."""

    exit_code = 4

    @classmethod
    def of(cls, error: BaseException) -> "OutOfMemory | None":
        """This, where `error` is how Python or torch says it; None for every other error."""
        text = str(error)
        too_much = "can't allocate" in text or "Storage size calculation overflowed" in text
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or too_much:
            cause = text.rpartition("DefaultCPUAllocator: ")[2].partition(". ")[0] or "out of memory"
            return cls(cause, remedy="lower the resolution, cameras.size or cameras.views")
        return None


class Degenerate(Gen3dError):
    """The result is empty, flat or otherwise no object."""

    exit_code = 5


class Unsupported(BadInput):
    """A combination of parts that cannot work: refused when the recipe loads."""
