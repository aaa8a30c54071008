"""Data sets with parent–child pairs: reading, writing, checking, showing and generating them."""
