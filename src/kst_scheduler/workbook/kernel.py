"""The kernel named python3 is the interpreter that runs this code, and no other.

A ``python3`` kernelspec that another project has left in the user's folders would start an
interpreter without this package.
"""

from __future__ import annotations

from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager


class CurrentInterpreter(KernelSpecManager):
    """The kernelspecs of this machine, with python3 replaced by the current interpreter."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the kernelspec of that name; python3 starts ``sys.executable``."""
        if kernel_name != NATIVE_KERNEL_NAME:
            return super().get_kernel_spec(kernel_name)
        # Otherwise each start warns that the kernel's loopback sockets are not encrypted.
        quiet = ["--log-level=ERROR"]
        return KernelSpec(resource_dir=RESOURCES, **get_kernel_dict(extra_arguments=quiet))
