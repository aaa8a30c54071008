# SPDX-License-Identifier: AGPL-3.0-only
"""YOLOv9 with its auxiliary branch (programmable gradient information), which trains it and is then left out."""
