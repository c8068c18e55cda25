"""The devices without which the libraries that we stand on do not even import; a container or a chroot may lack them."""

from __future__ import annotations

import os

from juicecap.errors import EnvironmentFailure

NEEDED = ("/dev/null", "/dev/urandom")
"""`datasets` opens the first when it is imported, torch the second."""


def check_devices() -> None:
    """Make sure that they are there.

    Raises:
        EnvironmentFailure: one is not.
    """
    for device in NEEDED:
        if not os.path.exists(device):
            raise EnvironmentFailure(
                f"there is no {device} here, without which datasets and torch do not work. Mount a /dev in this container or "
                "chroot and run again."
            )
