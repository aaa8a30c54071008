# SPDX-License-Identifier: AGPL-3.0-only
"""Detectors of the RT-DETR kind in Ultralytics' framework, with the ICR loss: RT-DETR itself and UAV-DETR."""
