"""Data sets and predictions in the in-memory forms of other libraries, and back, pairs kept.

One module a library, each imported by whoever has that library: `icr.interchange.supervision`,
`icr.interchange.huggingface` and `icr.interchange.fiftyone`. For files (COCO, YOLO) see `icr.data.formats`.
"""
