"""Pictures that only a notebook draws."""

from kst_scheduler.extras import require_extra

with require_extra("plots", "a picture"):
    from kst_workbook.pictures.fetches import plot_fetches
    from kst_workbook.pictures.guess import draw_guess
    from kst_workbook.pictures.panels import panels
    from kst_workbook.pictures.pipeline import plot_pipeline

__all__ = ["draw_guess", "panels", "plot_fetches", "plot_pipeline"]
