# SPDX-License-Identifier: AGPL-3.0-only
"""UAV-DETR (Zhang et al., arXiv 2501.01855), written from its description; no code of the authors is used."""
