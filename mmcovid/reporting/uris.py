"""Pictures as addresses that hold them, so that a page is one file."""

import base64

import cv2
import numpy as np


def picture_uri(image: np.ndarray, quality: int = 85) -> str:
    """A picture, (H, W, 3) RGB or (H, W), uint8, as the data URI of a JPEG."""
    image = image[..., ::-1] if image.ndim == 3 else image
    _, encoded = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return data_uri(encoded.tobytes(), 'image/jpeg')


def data_uri(data: bytes, mime: str) -> str:
    """Bytes as an address that holds them itself."""
    return f'data:{mime};base64,{base64.b64encode(data).decode()}'
