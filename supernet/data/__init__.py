"""Images: loading, splitting, preprocessing, batches."""

from supernet.data.arrays import from_arrays
from supernet.data.batches import Padding, TrainBatches, eval_batches
from supernet.data.decoding import Progress, decode, fit_images
from supernet.data.images import ImageData
from supernet.data.load import load_images
from supernet.data.preprocessing import Preprocessing, measure_preprocessing, resize
from supernet.data.settings import DataSettings, Source
from supernet.data.split import Split, load_split, make_split, save_split
from supernet.data.train_data import TrainData

__all__ = [
    "DataSettings",
    "ImageData",
    "Padding",
    "Preprocessing",
    "Progress",
    "Source",
    "Split",
    "TrainBatches",
    "TrainData",
    "decode",
    "eval_batches",
    "fit_images",
    "from_arrays",
    "load_images",
    "load_split",
    "make_split",
    "measure_preprocessing",
    "resize",
    "save_split",
]
