"""The command ``kst-workbook``, the kernel, the reader's copies, and the stored outputs."""
