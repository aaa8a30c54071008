"""Measuring detectors: COCO metrics by class and size, pair metrics, and intervals for both."""
