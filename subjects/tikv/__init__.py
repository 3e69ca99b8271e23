"""TiKV: stores that hold regions, and PD that places them."""
