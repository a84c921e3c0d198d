"""The pictures of what came out."""

from gen3d import Degenerate
from gen3d.run import Run
from gen3d_monitor.pictures import contact_sheet, save_picture, turntable

TURNTABLE, SHEET = "turntable.mp4", "contact_sheet.png"


def draw_result(run: Run, error: BaseException | None) -> None:
    """The turntable and the contact sheet; of an object that is none, only the sheet, which shows why."""
    if not hasattr(run, "stage") or not (error is None or isinstance(error, Degenerate)):
        return
    run.files.log("drawing", what="the pictures of the result")
    if error is None:
        try:
            turntable(run.stage, run.directory / TURNTABLE)
        except (OSError, RuntimeError) as problem:
            run.warn(f"no turntable: {problem}")
        else:
            run.files.log("picture", name="turntable", path=TURNTABLE)
    save_picture(contact_sheet(run.stage), run.directory / SHEET)
    run.files.log("picture", name="contact sheet", path=SHEET)
