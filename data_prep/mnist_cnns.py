"""Ship classifiers of W-MNIST by the recipe of the reference run: who is asked in live pictures.

One learned from the original images, one from counterfactuals of the authors' CGN, one from as many
images, half of either kind; seed 0 each.  Tested once more with the weights as they are shipped, in
half precision.

    python -m cgnlib run --profile full classifier-wildlife-original-s0 \\
        classifier-wildlife-cgn-published-s0 \\
        classifier-wildlife-original-and-cgn-published-r50-s0
    python data_prep/mnist_cnns.py
"""

import argparse
import sys

from cgnlib import experiments, runs
from cgnlib.compute.digits import predict, test_of
from cgnlib.compute.nets_of import net_of
from cgnlib.errors import ended
from cgnlib.nets import shipped
from cgnlib.nets.mnist import CNN
from mnist_cgns import told
from ship import ship

LEARNED_FROM = {  # names here, and of the runs
    "original": "original",
    "cgn": "cgn-published",
    "union": "original-and-cgn-published-r50",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=[*LEARNED_FROM], help="which (default: all)")
    names = parser.parse_args().names
    if unknown := {*names} - {*LEARNED_FROM}:
        parser.error(f"no {', '.join(sorted(unknown))}: choose from {', '.join(LEARNED_FROM)}")
    for name in names:
        source = LEARNED_FROM[name]
        part = f"{shipped.CNN}wildlife-{name}"
        run = experiments.find("full", f"classifier-wildlife-{source}-s0")
        about = told(run)
        ship(part, net_of(run, runs.load(run).folder), about)
        test = test_of(run)
        right = predict(shipped.load(part, CNN()), test.freeze()) == test.y
        about |= {"test_accuracy": right.sum().item() / len(test), "test_images": len(test)}
        ship(part, shipped.load(part, CNN()), about)
        print(f"{part}: {about['test_accuracy']:.4f} of {about['test_images']}")


if __name__ == "__main__":
    sys.exit(ended(main, "the same command starts again"))
