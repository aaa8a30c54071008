"""Data sets and predictions in the in-memory forms of other libraries, and back, pairs kept.

One module a library, each imported by whoever has that library: `icr.interchange.supervision` and
`icr.interchange.huggingface`. For files (COCO, YOLO) see `icr.data.formats`.
"""
