"""`icr demo`: the main job on a generated data set, told as one report that a person can read offline."""
