"""Writes the node tests of the installed Python package `onnx` as folders that `gmc verify --onnx` judges.

    python tools/peers/onnx_cases.py OUT && build/gmc verify --onnx OUT
"""
import argparse
import pathlib

import numpy as np
from onnx import TensorProto, numpy_helper


def in_double(transform):
    """numpy 2 transforms single precision in single precision, whose rounding of what is 0 exceeds the tests' tolerance
    of 1e-7; ONNX's published data was computed in double, as numpy 1 did."""

    def wide(x, *args, **kwargs):
        x = np.asarray(x)
        return transform(x.astype(np.complex128 if np.iscomplexobj(x) else np.float64), *args, **kwargs)

    return wide


def message(value, info):
    if isinstance(value, TensorProto):
        return value
    if info.type.HasField("sequence_type"):
        return numpy_helper.from_list(value, info.name)
    if info.type.HasField("optional_type"):
        return numpy_helper.from_optional(value, info.name)
    return numpy_helper.from_array(value, info.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    for name in ("fft", "ifft", "rfft", "irfft"):
        setattr(np.fft, name, in_double(getattr(np.fft, name)))
    from onnx.backend.test.case.node import collect_testcases  # computes the expected values

    cases = collect_testcases(None)
    for case in cases:
        folder = out / case.name
        for i, (inputs, outputs) in enumerate(case.data_sets):
            data = folder / f"test_data_set_{i}"
            data.mkdir(parents=True, exist_ok=True)
            for kind, values, infos in (("input", inputs, case.model.graph.input), ("output", outputs, case.model.graph.output)):
                for j, (value, info) in enumerate(zip(values, infos)):
                    (data / f"{kind}_{j}.pb").write_bytes(message(value, info).SerializeToString())
        (folder / "model.onnx").write_bytes(case.model.SerializeToString())
    print(f"{len(cases)} tests")


if __name__ == "__main__":
    main()
