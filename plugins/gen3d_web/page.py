"""The page: what it shows, and what happens when somebody presses something. Imported once gradio is set up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from gen3d.errors import Gen3dError, OutOfMemory
from gen3d_web.cards import trouble
from gen3d_web.new_views import NewViews, Turn
from gen3d_web.offers import AS_IT_IS, LARGEST_FILE, LONGEST_PROMPT, PRESETS, Offer, Wish, checked_picture, order
from gen3d_web.shown import LOOKS, Shown, shown

if TYPE_CHECKING:
    from gen3d_web.jobs import Jobs
    from gen3d_web.worker import Worker

KINDS = {"A picture": "image", "Words": "prompt"}
_HIDDEN = {"show_progress": "hidden", "api_visibility": "private"}


class Page:
    """What somebody sees, over a queue.

    Args:
        jobs: the queue.
        worker: who runs it.
        offers: the recipes to choose from.
        profile: the one that is chosen at first.
        vram: what a run may take of the GPU's memory.
        views: what draws new views.
    """

    def __init__(
        self, jobs: Jobs, worker: Worker, offers: dict[str, Offer], profile: str, vram: str | None, views: NewViews
    ) -> None:
        self.jobs, self.worker, self.offers = jobs, worker, offers
        self.profile, self.vram, self.views = profile, vram, views

    def build(self) -> gr.Blocks:
        """The page, not yet served."""
        with gr.Blocks(title="gen3d", analytics_enabled=False, fill_width=True) as page:
            gr.Markdown("# gen3d\nA picture or a few words become a textured 3D object, on this computer.")
            with gr.Tab("Make an object"), gr.Row():
                with gr.Column(scale=2, min_width=320):
                    wish = self._wish()
                with gr.Column(scale=3, min_width=380):
                    self._watch(wish)
            with gr.Tab("New views"):
                self._new_views()
        return page

    def _wish(self) -> dict[str, Any]:
        """What somebody fills in."""
        kinds = [label for label, kind in KINDS.items() if self._names(kind)]
        offer = self.offers[self._names(KINDS[kinds[0]])[0]]
        given, picture = gr.Radio(kinds, value=kinds[0], label="Made from"), _picture_field()
        prompt = gr.Textbox(
            label="What is it?", placeholder="a red mushroom", max_length=LONGEST_PROMPT, visible=offer.kind == "prompt"
        )
        elevation = gr.Slider(
            -90,
            90,
            offer.elevation_deg,
            step=1,
            label="Seen from above by (degrees)",
            visible=offer.kind == "image",
        )
        picture.visible = offer.kind == "image"
        recipe = gr.Dropdown(self._names(offer.kind), value=offer.path.stem, label="Recipe", info=offer.summary)
        with gr.Row():
            profile = gr.Dropdown(offer.choices, value=offer.chosen(self.profile), label="Profile", min_width=120)
            preset = gr.Dropdown([*PRESETS], value=AS_IT_IS, label="Export", min_width=120, visible=offer.has_presets)
        wrong = gr.HTML(visible=False)
        make = gr.Button("Make it", variant="primary", size="lg")
        given.change(self._kind_chosen, given, [picture, prompt, elevation, recipe], **_HIDDEN)
        recipe.change(self._recipe_chosen, recipe, [recipe, profile, preset, elevation], **_HIDDEN)
        return {"fields": [recipe, profile, preset, prompt, picture, elevation], "make": make, "wrong": wrong}

    def _watch(self, wish: dict[str, Any]) -> None:
        """What has been made and is being made."""
        which = gr.Dropdown([], label="Objects", elem_id="which")
        card = gr.HTML()
        preview = gr.Image(label="Four sides, and how far away", interactive=False, visible=False, buttons=[])
        model = gr.Model3D(
            label="The object", interactive=False, height=420
        )  # always there: hidden first, it stays empty
        with gr.Row():
            download = gr.DownloadButton("Download GLB", variant="primary", visible=False, elem_id="download")
            cancel = gr.Button("Stop", visible=False, elem_id="cancel")
            again = gr.Button("Go on", visible=False, elem_id="again")
        seen = gr.State(dict)
        outputs = [which, card, preview, model, download, cancel, again, seen]
        wish["make"].click(self._made, wish["fields"], [wish["wrong"], which], **_HIDDEN).then(
            self._look, [which, seen], outputs, **_HIDDEN
        )
        cancel.click(lambda name: self.worker.cancel(name or ""), which, None, **_HIDDEN)
        again.click(lambda name: self.worker.again(name or ""), which, None, **_HIDDEN)
        which.input(self._look, [which, seen], outputs, **_HIDDEN)
        gr.Timer(1.0).tick(self._look, [which, seen], outputs, **_HIDDEN)

    def _new_views(self) -> None:
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                picture = _picture_field()
                elevation = gr.Slider(-90, 90, 15, step=1, label="Seen from above by (degrees)")
                azimuth = gr.Slider(-180, 180, 60, step=1, label="Go to the right (degrees)")
                higher = gr.Slider(-90, 90, 0, step=1, label="Go up (degrees)")
                distance = gr.Slider(-0.5, 0.5, 0, step=0.05, label="Go back (lengths of the object)")
                draw = gr.Button("Draw", variant="primary", size="lg")
            with gr.Column(scale=3, min_width=380):
                wrong = gr.HTML(visible=False)
                gallery = gr.Gallery(
                    label="From there it may look so",
                    columns=3,
                    height=420,
                    object_fit="contain",
                    format="png",
                    buttons=[],
                )
                gr.Markdown("The embedded prior draws 64 x 64 pixels: it shows what a run has to go by.")
        inputs = [picture, elevation, azimuth, higher, distance]
        draw.click(self._drawn, inputs, [wrong, gallery], api_visibility="private")

    def _names(self, kind: str) -> list[str]:
        return [name for name, offer in self.offers.items() if offer.kind == kind]

    def _kind_chosen(self, given: str) -> tuple[Any, ...]:
        kind = KINDS[given]
        names, is_picture = self._names(kind), kind == "image"
        shown = [gr.update(visible=visible) for visible in (is_picture, not is_picture, is_picture)]
        return (*shown, gr.update(choices=names, value=names[0]))

    def _recipe_chosen(self, name: str) -> tuple[Any, ...]:
        offer = self.offers[name]
        return (
            gr.update(info=offer.summary),
            gr.update(choices=offer.choices, value=offer.chosen(self.profile)),
            gr.update(visible=offer.has_presets),
            gr.update(value=offer.elevation_deg),
        )

    def _made(
        self, recipe: str, profile: str, preset: str, prompt: str, picture: str | None, elevation: float
    ) -> tuple[Any, Any]:
        file = Path(picture) if picture else None
        try:
            job = order(self.jobs, Wish(self.offers[recipe], profile, preset, prompt, file, elevation), self.vram)
        except Gen3dError as error:
            return gr.update(value=trouble(error), visible=True), gr.skip()
        self.worker.wake()
        return gr.update(visible=False), gr.update(choices=[(job.title, job.name)], value=job.name)

    def _look(self, name: str | None, seen: dict[str, Any]) -> tuple[Any, ...]:
        """What has changed of what is to be seen."""
        now: Shown = shown(self.jobs, name)
        return (*(gr.skip() if now[key] == seen.get(key) else gr.update(**now[key]) for key in LOOKS), now)

    def _drawn(
        self, picture: str | None, elevation: float, azimuth: float, higher: float, distance: float
    ) -> tuple[Any, Any]:
        try:
            if picture is None:
                return gr.update(value=trouble(Gen3dError("drop a picture of one object first")), visible=True), []
            checked_picture(Path(picture))
            drawn = self.views.draw(Path(picture), elevation, Turn(azimuth, higher, distance))
        except (Gen3dError, RuntimeError, MemoryError) as error:
            told = error if isinstance(error, Gen3dError) else OutOfMemory.of(error)
            if told is None:
                raise
            return gr.update(value=trouble(told), visible=True), []
        pictures = [(256 * view).clamp(0, 255).byte().numpy() for view in drawn]
        return gr.update(visible=False), pictures


def _picture_field() -> gr.Image:
    """Takes a file as it is: `read_rgba` looks at what is in it, and says what is wrong."""
    field = gr.Image(
        type="filepath",
        label=f"One object, cut out or on a plain background; up to {LARGEST_FILE >> 20} MB",
        sources=["upload", "clipboard"],
        height=260,
    )
    field.preprocess = lambda payload: payload.path if payload is not None else None  # a subclass would write a .pyi
    return field
