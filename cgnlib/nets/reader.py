"""The reader of the MNIST variants: names digit, foreground and background of one image."""

PLAN = ((3, 16, 1), (16, 32, 2), (32, 48, 2), (48, 64, 2))  # channels in and out, stride
