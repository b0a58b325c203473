"""The workbook as a static site, for readers who do not run it: no notebook is run.

It opens as files, without a server or a network. nbconvert, which JupyterLab brings along, renders
the cells; MyST and Jupyter Book would need Node.js.
"""

from kst_scheduler.extras import require_extra

with require_extra("workbook", "the static site"):
    from kst_workbook.page.folder import write_site
    from kst_workbook.page.site import build_site

__all__ = ["build_site", "write_site"]
