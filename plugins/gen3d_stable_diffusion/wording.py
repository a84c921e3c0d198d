"""How a prompt says where a view is."""

SUFFIX = "{prompt}, {view} view"
"""The wording that threestudio, ProlificDreamer and the embedded weights use; SJC's is "{view} view of {prompt}"."""


def worded(wording: str, prompt: str, view: str) -> str:
    """A prompt with a direction: "a chair" and "back" as "a chair, back view"."""
    return wording.replace("{view}", view).replace("{prompt}", prompt)
