"""The drawing of a workflow, as a file and for Jupyter."""

from __future__ import annotations

import os
from dataclasses import dataclass
from html import escape
from inspect import isclass
from pathlib import Path

from workflows import Workflow

from llama_index_streaming_ext.draw.flows import flows_of, is_workflow, with_children
from llama_index_streaming_ext.draw.page import arranged, page


@dataclass(frozen=True)
class FlowDrawing:
    """A drawing that Jupyter shows when it is the last value of a cell.

    Attributes:
        path: the file that was written.
        html: its content.
        height: of the picture, in pixels.
    """

    path: Path
    html: str
    height: float

    def _repr_html_(self) -> str:
        # A frame keeps the page's style and the notebook's apart.
        height = min(round(self.height) + 150, 900)
        frame = f'width="100%" height="{height}" style="border:0"'
        return f'<iframe {frame} srcdoc="{escape(self.html)}"></iframe>'


def draw_all_possible_flows(
    workflow: Workflow | type[Workflow],
    filename: str | os.PathLike[str] = "workflow_all_flows.html",
    notebook: bool = False,
    max_label_length: int | None = None,
    include_child_workflows: bool = True,
) -> FlowDrawing | None:
    """Draw the steps of a workflow and the events between them into an HTML file.

    The file is complete: it loads nothing, runs no script, and nothing else is written. Agents
    are workflows too.

    Args:
        workflow: a workflow or an agent, or the class of one.
        filename: the file to write; its folder must be there.
        notebook: also return the drawing, for Jupyter to show below the cell.
        max_label_length: cut longer names to so many characters; the whole name is then in the
            tooltip. None or 0 cuts nothing.
        include_child_workflows: also draw the workflow classes that the code of a step names,
            one level deep and once each. They are read, not run: no child is instantiated.
            Workflows that a step only finds in a variable or an attribute are not seen.

    Returns:
        The drawing if `notebook`, else None.

    Raises:
        TypeError: `workflow` is not a workflow.
        OSError: the file cannot be written.

    Example:
        ```python
        draw_all_possible_flows(MyWorkflow, "flows.html")
        ```
    """
    workflow_class: object = workflow if isclass(workflow) else type(workflow)
    if not is_workflow(workflow_class):
        raise TypeError(
            f"draw_all_possible_flows() needs a Workflow, an agent, or the class of one, "
            f"not {workflow!r}."
        )
    flows = flows_of(workflow_class)
    if include_child_workflows:
        flows = with_children(workflow_class, flows)
    layout = arranged(flows, max_label_length)
    html = page(flows, layout, max_label_length)
    path = Path(filename)
    # Encoded before the file is opened: what cannot be written leaves an older file as it was.
    path.write_bytes(html.encode("utf-8"))
    return FlowDrawing(path, html, layout.height) if notebook else None
