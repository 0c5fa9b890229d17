"""The world "shapes": text to image at 32×32, with an exact checker."""
