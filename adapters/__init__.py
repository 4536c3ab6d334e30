"""Clients of the real systems that we stand on. Each file speaks to one of them and knows no business."""
